//! A sequence of steps: what two sessions do, and when the sync runs in between. Its seed determines it.

use std::fmt;

use super::keys::Keys;
use super::operations::{happening, taken_back};
use super::random::Random;

/// The default page size, which exceeds every table here, and a small one.
const OPTIONS: [&[&str]; 2] = [&[], &["--batch-size", "50"]];

pub struct Sequence {
    /// Options of each `incremental`, and of both full loads.
    pub options: &'static [&'static str],
    /// Whether the account sees in-flight transactions, so that a short safety lag suffices.
    pub sees_in_flight_transactions: bool,
    pub steps: Vec<Step>,
}

pub enum Step {
    /// In a session that commits each statement immediately.
    Main(String),
    /// In a session that opens transactions and leaves them open for a while.
    Late(String),
    Sync {
        at_rest: bool,
        /// Without verification it may miss changes that leave no trace.
        verifies: bool,
    },
    /// The server is restarted: it no longer knows when its tables were modified.
    Restart,
}

impl Sequence {
    /// The sequence of a seed, on a source with these keys, with or without restarts.
    pub fn of(seed: u64, keys: &Keys, has_restarts: bool) -> Self {
        let mut random = Random::of(seed);
        let options = random.pick(&OPTIONS);
        let sees_in_flight_transactions = random.one_in(2);
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
            sees_in_flight_transactions,
            steps: draft.steps,
        }
    }
}

struct Draft {
    random: Random,
    keys: Keys,
    steps: Vec<Step>,
    /// Whether the late session has an open transaction.
    is_open: bool,
    has_restarts: bool,
}

impl Draft {
    fn draw(&mut self) {
        // A run skips only tables that were at rest in the run before.
        if self.random.one_in(3) {
            self.steps.push(Step::Sync {
                at_rest: true,
                verifies: true,
            });
        }
        for _ in 0..2 + self.random.below(3) {
            for _ in 0..3 + self.random.below(10) {
                self.draw_statements();
            }
            if self.has_restarts {
                self.restart();
            }
            let verifies = !self.random.one_in(4);
            self.sync(8, verifies);
        }
        self.end_transaction();
        // Either immediately after the last commit, or once UPDATE_TIME, which has whole seconds, is of an earlier
        // second: both must work.
        self.sync(4, true);
    }

    /// One in `times` syncs waits until the tables are at rest.
    fn sync(&mut self, times: u64, verifies: bool) {
        let at_rest = self.random.one_in(times);
        self.steps.push(Step::Sync { at_rest, verifies });
    }

    /// Restarts the server, with some changes before and some after.
    fn restart(&mut self) {
        self.end_transaction();
        self.steps.push(Step::Restart);
        for _ in 0..self.random.below(4) {
            self.draw_statements();
        }
    }

    fn draw_statements(&mut self) {
        match self.random.below(20) {
            0 => self.take_back(),
            1 | 2 if self.is_open => self.end_transaction(),
            1..=4 => {
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

    /// A change that is read by a run without verification, and then reverted without a trace.
    fn take_back(&mut self) {
        let [remember, change, take_back] = taken_back(&mut self.random, &self.keys);
        self.steps.extend([remember, change].map(Step::Main));
        self.sync(4, false);
        self.steps.push(Step::Main(take_back));
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
            Self::Restart => write!(formatter, "-- restart the server"),
            Self::Sync { at_rest, verifies } => {
                let wait = if *at_rest { "wait until at rest, " } else { "" };
                let budget = if *verifies { "" } else { " --verify-budget 0" };
                write!(formatter, "-- {wait}incremental{budget}")
            }
        }
    }
}
