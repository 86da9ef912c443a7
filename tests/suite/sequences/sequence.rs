//! A sequence: what two sessions do, and when the sync runs meanwhile. It follows from its seed alone.

use std::fmt;

use super::keys::Keys;
use super::operations::happening;
use super::random::Random;

/// Pages of the usual size, which is more than any table has here, and small ones.
const OPTIONS: [&[&str]; 2] = [&[], &["--batch-size", "50"]];

pub struct Sequence {
    /// Of each `incremental`, and of both full loads.
    pub options: &'static [&'static str],
    pub steps: Vec<Step>,
}

pub enum Step {
    /// In a session where each statement is committed at once.
    Main(String),
    /// In a session that begins transactions and leaves them open for a while.
    Late(String),
    Sync {
        at_rest: bool,
    },
    /// The server is stopped and started again: it no longer knows when its tables were modified.
    Restart,
}

impl Sequence {
    /// The sequence of a seed, on a source with these keys, which may be restarted or not.
    pub fn of(seed: u64, keys: &Keys, has_restarts: bool) -> Self {
        let mut random = Random::of(seed);
        let options = random.pick(&OPTIONS);
        let mut draft = Draft {
            keys: keys.clone(),
            random,
            steps: Vec::new(),
            is_open: false,
            has_restarts,
        };
        draft.draw();
        Self {
            options,
            steps: draft.steps,
        }
    }
}

struct Draft {
    random: Random,
    keys: Keys,
    steps: Vec<Step>,
    /// Whether the late session has a transaction.
    is_open: bool,
    has_restarts: bool,
}

impl Draft {
    fn draw(&mut self) {
        // Only what has been at rest in a run is passed over in the next one.
        if self.random.one_in(3) {
            self.steps.push(Step::Sync { at_rest: true });
        }
        for _ in 0..2 + self.random.below(3) {
            for _ in 0..3 + self.random.below(10) {
                self.draw_statements();
            }
            if self.has_restarts {
                self.restart();
            }
            let at_rest = self.random.one_in(8);
            self.steps.push(Step::Sync { at_rest });
        }
        self.end_transaction();
        // Right after the last commit, or when UPDATE_TIME, which has whole seconds, is no longer of this one: both
        // have to do.
        let at_rest = self.random.one_in(4);
        self.steps.push(Step::Sync { at_rest });
    }

    /// Some changes are before it, and some after.
    fn restart(&mut self) {
        self.end_transaction();
        self.steps.push(Step::Restart);
        for _ in 0..self.random.below(4) {
            self.draw_statements();
        }
    }

    fn draw_statements(&mut self) {
        match self.random.below(8) {
            0 if self.is_open => self.end_transaction(),
            0 | 1 => {
                if !self.is_open {
                    self.steps.push(Step::Late("BEGIN".to_owned()));
                    self.is_open = true;
                }
                let statements = happening(&mut self.random, &mut self.keys);
                self.steps.extend(statements.into_iter().map(Step::Late));
            }
            _ => {
                let statements = happening(&mut self.random, &mut self.keys);
                self.steps.extend(statements.into_iter().map(Step::Main));
            }
        }
    }

    fn end_transaction(&mut self) {
        if self.is_open {
            let end = if self.random.one_in(5) { "ROLLBACK" } else { "COMMIT" };
            self.steps.push(Step::Late(end.to_owned()));
            self.is_open = false;
        }
    }
}

/// A line of a replay.
impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Main(statement) => write!(formatter, "{statement};"),
            Self::Late(statement) => write!(formatter, "/* late */ {statement};"),
            Self::Sync { at_rest: false } => write!(formatter, "-- incremental"),
            Self::Restart => write!(formatter, "-- restart the server"),
            Self::Sync { at_rest: true } => write!(formatter, "-- wait until at rest, incremental"),
        }
    }
}
