//! Digests of rows: the server computes them in SQL, the engine from the rows that it has read.

use std::fmt;
use std::num::ParseIntError;
use std::ops::AddAssign;
use std::str::FromStr;

/// The digest of a set of rows: their number, and the sum of their checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    pub rows: u64,
    pub sum: u64,
}

impl Digest {
    /// The digest of one row with this checksum.
    pub(crate) fn of_row(checksum: u32) -> Self {
        Self {
            rows: 1,
            sum: checksum.into(),
        }
    }

    /// The digest of rows with unknown checksums. It differs from every digest of a server, also when added to others.
    pub(crate) fn unknown(rows: u64) -> Self {
        Self { rows, sum: u64::MAX }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.rows, self.sum)
    }
}

impl FromStr for Digest {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let (rows, sum) = text.split_once(':').unwrap_or((text, ""));
        Ok(Self {
            rows: rows.parse()?,
            sum: sum.parse()?,
        })
    }
}

impl AddAssign for Digest {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.sum = self.sum.saturating_add(other.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_so_in_a_sum() {
        let mut sum = Digest::of_row(7);
        sum += Digest::unknown(3);
        sum += Digest::of_row(8);
        assert_eq!(sum, Digest::unknown(5));
        assert_eq!(sum.to_string().parse(), Ok(sum));
    }

    #[test]
    fn a_digest_is_read_as_it_was_written() {
        let digest = Digest { rows: 7, sum: 12 };
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert!("7".parse::<Digest>().is_err());
    }
}
