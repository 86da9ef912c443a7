//! A table of measurements and their reference values, printed line by line.

use std::path::Path;

use serde_json::{Value, json};

/// The lines so far.
pub struct Lines(Vec<Line>);

/// One measurement.
struct Line {
    what: String,
    seconds: f64,
    against: String,
    against_seconds: f64,
}

impl Lines {
    /// Prints the head of the table.
    pub fn begin() -> Self {
        println!("| what | seconds | against | ratio |");
        println!("|---|---:|---|---:|");
        Self(Vec::new())
    }

    /// Prints a line: `what` took `seconds`, the reference `against` takes `against_seconds`.
    pub fn add(&mut self, what: impl Into<String>, seconds: f64, against: impl Into<String>, against_seconds: f64) {
        let line = Line {
            what: what.into(),
            seconds,
            against: against.into(),
            against_seconds,
        };
        println!(
            "| {} | {seconds:.3} | {}: {against_seconds:.3} | {:.2} |",
            line.what,
            line.against,
            line.ratio()
        );
        self.0.push(line);
    }

    /// Writes the lines as JSON.
    pub fn write(&self, path: &Path) {
        let lines: Vec<Value> = self.0.iter().map(Line::json).collect();
        let text = serde_json::to_string_pretty(&lines).expect("numbers can be written");
        std::fs::write(path, text).expect("results can be written");
    }
}

impl Line {
    fn ratio(&self) -> f64 {
        self.seconds / self.against_seconds
    }

    fn json(&self) -> Value {
        json!({
            "what": self.what,
            "seconds": self.seconds,
            "against": self.against,
            "against_seconds": self.against_seconds,
            "ratio": self.ratio(),
        })
    }
}
