//! Parses a column's full type, as a run stores it: `int`, `decimal(5,2)`, `datetime(6)`.

/// Digits of a DECIMAL that fit into 32 bits.
const NARROW_DIGITS: u32 = 9;

/// The data type, as `information_schema` names it.
pub(crate) fn data_type(full_type: &str) -> &str {
    full_type.split('(').next().unwrap_or(full_type)
}

/// How many digits a DECIMAL has after the decimal point.
pub(crate) fn scale(full_type: &str) -> u32 {
    decimal_digits(full_type).map_or(0, |(_, scale)| scale)
}

/// Whether every value is an integer of at most 32 bits; a DECIMAL is counted in units of its last digit.
pub(crate) fn is_narrow(full_type: &str) -> bool {
    match data_type(full_type) {
        "tinyint" | "smallint" | "mediumint" | "int" => true,
        "decimal" => decimal_digits(full_type).is_some_and(|(digits, _)| digits <= NARROW_DIGITS),
        _ => false,
    }
}

/// Whether a DATETIME or TIMESTAMP can have fractional seconds; true if its type is unknown.
pub(crate) fn has_fractions_of_seconds(full_type: &str) -> bool {
    !matches!(full_type, "datetime" | "timestamp")
}

/// All digits of a DECIMAL, and those after the decimal point.
fn decimal_digits(full_type: &str) -> Option<(u32, u32)> {
    let digits = full_type.strip_prefix("decimal(")?.strip_suffix(')')?;
    let (digits, scale) = digits.split_once(',')?;
    Some((digits.parse().ok()?, scale.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_type_gives_its_data_type_and_digits() {
        assert_eq!([scale("decimal(20,9)"), scale("decimal(5,0)"), scale("int")], [9, 0, 0]);
        assert_eq!([data_type("decimal(20,9)"), data_type("int")], ["decimal", "int"]);
    }

    #[test]
    fn narrow_is_what_has_at_most_32_bits() {
        assert!(
            ["tinyint", "int", "decimal(5,2)", "decimal(9,9)"]
                .iter()
                .all(|narrow| is_narrow(narrow))
        );
        assert!(
            ["bigint", "bit", "decimal(10,2)", "decimal", "datetime", ""]
                .iter()
                .all(|wide| !is_narrow(wide))
        );
    }

    #[test]
    fn fractions_of_seconds_are_assumed_where_the_type_is_not_known() {
        assert!(
            ["datetime(6)", "timestamp(3)", ""]
                .iter()
                .all(|full_type| has_fractions_of_seconds(full_type))
        );
        assert!(!has_fractions_of_seconds("datetime"));
    }
}
