//! Limits the share of time for which a connection keeps the source busy, to leave the rest to other users.

use std::time::Duration;

/// The share of time for which each connection reads; it rests for the remainder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceShare(f64);

impl SourceShare {
    /// All of the time: no pauses.
    pub const ALL: Self = Self(1.0);

    /// A share in percent; `None` unless it is above 0 and at most 100.
    pub fn of_percent(percent: f64) -> Option<Self> {
        (percent > 0.0 && percent <= 100.0).then_some(Self(percent / 100.0))
    }

    /// How long a connection rests after a statement of this duration.
    pub(crate) fn rest_after(self, read: Duration) -> Duration {
        read.mul_f64(1.0 / self.0 - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_rests_for_as_long_as_keeps_it_to_its_share() {
        let second = Duration::from_secs(1);
        let rest = |percent| SourceShare::of_percent(percent).map(|share| share.rest_after(second));
        assert_eq!(rest(100.0), Some(Duration::ZERO));
        assert_eq!(rest(50.0), Some(second));
        assert_eq!(rest(25.0), Some(3 * second));
        assert_eq!([rest(0.0), rest(-1.0), rest(100.1), rest(f64::NAN)], [None; 4]);
    }
}
