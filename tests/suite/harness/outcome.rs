//! The outcome of a run: exit code, the codes of docs/errors.md and figures. Wording may change, codes do not.

use serde_json::Value;

use super::Run;

/// Source rows that a run read of a table, except for those that it read only to verify them.
pub fn rows_read_to_sync(table: &Value) -> u64 {
    let [read, verified] = ["read", "verified_row_by_row"].map(|field| table[field].as_u64().unwrap());
    read - verified
}

impl Run {
    /// Expects an error with this exit code and this code of `docs/errors.md`, with a hint, and with no secret in it.
    #[track_caller]
    pub fn fails_with(self, exit_code: i32, code: &str) -> Self {
        let run = self.ends_with_code(exit_code);
        assert_eq!(run.error_code().as_deref(), Some(code), "{run:#?}");
        assert!(run.stderr.contains("hint: "), "{run:#?}");
        assert!(!run.stderr.contains("not-a-secret"), "{run:#?}");
        run
    }

    /// The code of the error that ended the run, if one did.
    pub fn error_code(&self) -> Option<String> {
        let (_, behind) = self.stderr.rsplit_once("error[")?;
        let (code, _) = behind.split_once("]:")?;
        Some(code.to_owned())
    }

    /// Whether the log has an event with this code.
    pub fn has_logged(&self, code: &str) -> bool {
        has_event(&self.stderr, code)
    }

    /// Expects an error with this exit code and these words in its text. Use it for names, such as a table or a path.
    #[track_caller]
    pub fn fails(self, code: i32, words: &[&str]) {
        let run = self.ends_with_code(code);
        for word in words.iter().chain(&["error[", "hint:"]) {
            assert!(run.stderr.contains(word), "no {word:?} in {run:#?}");
        }
        assert!(!run.stderr.contains("not-a-secret"), "{run:#?}");
    }
}

/// Whether a log, as text or JSON, has an event with this code of `docs/errors.md`.
pub fn has_event(log: &str, code: &str) -> bool {
    [format!("code=\"{code}\""), format!("\"code\":\"{code}\"")]
        .iter()
        .any(|field| log.contains(field))
}
