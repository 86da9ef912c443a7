//! A digest of rows: the server computes it in SQL, and the engine from the rows that it has read.

use std::fmt;
use std::num::ParseIntError;
use std::ops::AddAssign;
use std::str::FromStr;

/// The digest of a set of rows: their number, and the weighted sum over their values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    pub rows: u64,
    pub sum: i128,
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
        self.sum += other.sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_was_written() {
        let digest = Digest { rows: 7, sum: -12 };
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert!("7".parse::<Digest>().is_err());
    }
}
