//! The verification budget: the time that a run may spend on verifying key ranges, that is, rows to which no detected
//! change points.

use std::time::Duration;

use chrono::TimeDelta;

/// A share of the time since the previous run, or a fixed time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum VerifyBudget {
    /// In percent; 100 means no limit.
    Share(f64),
    Time(Duration),
}

/// The bounds of a budget that is a share. The minimum suffices to verify a small star in every run.
const LEAST_OF_A_SHARE: Duration = Duration::from_millis(200);
const MOST_OF_A_SHARE: Duration = Duration::from_secs(10);
const ALL_PERCENT: f64 = 100.0;
/// Longer than any run.
const UNLIMITED: Duration = Duration::from_hours(24);

impl VerifyBudget {
    /// The budget of a run, given the time since the previous run.
    pub(crate) fn after(self, since_last_run: Option<TimeDelta>) -> Duration {
        match self {
            Self::Time(time) => time,
            Self::Share(percent) if percent >= ALL_PERCENT => UNLIMITED,
            Self::Share(percent) => {
                let since = since_last_run.and_then(|since| since.to_std().ok()).unwrap_or_default();
                let share = since.mul_f64(percent.max(0.0) / ALL_PERCENT);
                share.clamp(LEAST_OF_A_SHARE, MOST_OF_A_SHARE)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_the_time_since_the_last_run_within_bounds() {
        let after = |percent, seconds| VerifyBudget::Share(percent).after(seconds).as_millis();
        let seconds = |seconds| Some(TimeDelta::seconds(seconds));
        assert_eq!(after(2.0, seconds(60)), 1_200);
        assert_eq!(after(2.0, seconds(5)), 200);
        assert_eq!(after(2.0, seconds(86_400)), 10_000);
        assert_eq!(after(50.0, seconds(10)), 5_000);
        assert_eq!(after(2.0, None), 200);
        // The source clock may step back.
        assert_eq!(after(2.0, seconds(-5)), 200);
        assert_eq!(VerifyBudget::Share(100.0).after(seconds(1)), UNLIMITED);
        let time = VerifyBudget::Time(Duration::from_secs(7));
        assert_eq!(time.after(seconds(1)), Duration::from_secs(7));
        assert_eq!(VerifyBudget::Time(Duration::ZERO).after(seconds(1)), Duration::ZERO);
    }
}
