//! DECIMAL amounts: stored in the star as the nearest REAL, so that every reader shows 6.99, and added up as integers
//! of their smallest unit, so that totals are exact.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use sea_orm::ColumnTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Func};

use crate::declare::rejection::{ReasonCode, Rejection};

/// The limit of amounts, in their smallest unit: with 2 digits, 2^45 whole units, which a REAL gives back unchanged.
const LARGEST: u64 = (1 << 45) * 100;

/// The amount as an integer of its smallest unit, with `digits` digits after the point: 6.99 with 2 digits is 699.
/// `None` if it has more digits, or exceeds 2^45 * 100 of its smallest unit (with 2 digits, 2^45 whole units).
pub fn whole(amount: Decimal, digits: u32) -> Option<i64> {
    amount
        .checked_mul(Decimal::from(scale(digits)))
        .filter(Decimal::is_integer)
        .and_then(|whole| whole.to_i64())
        .filter(|whole| whole.unsigned_abs() <= LARGEST)
}

/// The amount as the nearest REAL, for a column of the star. `column` is its name in the reason of a rejection.
///
/// # Errors
/// A [`Rejection`] if the amount has more than `digits` digits after the point, or exceeds 2^45 * 100 of its smallest
/// unit.
pub fn real(amount: Decimal, digits: u32, column: &str) -> Result<f64, Rejection> {
    let whole = whole(amount, digits).ok_or_else(|| {
        let reason = format!("{column} has more than {digits} decimal places, or exceeds 2^45 units");
        Rejection::invalid(ReasonCode::ValueOutOfRange, reason)
    })?;
    #[expect(clippy::cast_precision_loss, reason = "below 2^53, which a REAL holds exactly")]
    let real = whole as f64 / scale(digits) as f64;
    Ok(real)
}

/// SQL for a column that [`real`] filled, as an integer of its smallest unit: the target's side of a sum
/// ([`Totals::sum`](crate::declare::Totals::sum)).
pub fn whole_of_real(column: impl ColumnTrait, digits: u32) -> Expr {
    let column = Expr::col(column.as_column_ref());
    Expr::expr(Func::round(column.mul(scale(digits)))).cast_as("INTEGER")
}

fn scale(digits: u32) -> i64 {
    10_i64.pow(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Option<f64> {
        real(text.parse().unwrap(), 2, "amount").ok()
    }

    #[test]
    fn amounts_become_the_nearest_real_to_their_digits() {
        assert_eq!(amount("6.99"), Some(6.99));
        assert_eq!(amount("0.00"), Some(0.0));
        assert_eq!(amount("-11.10"), Some(-11.1));
        assert_eq!(amount("35184372088832.00"), Some(35_184_372_088_832.0));
        assert_eq!(real("0.125".parse().unwrap(), 3, "weight"), Ok(0.125));
    }

    #[test]
    fn the_largest_amounts_come_back_whole() {
        for hundredths in (3_518_437_208_883_200 - 1_000)..=3_518_437_208_883_200_i64 {
            let units = real(Decimal::new(hundredths, 2), 2, "amount").unwrap();
            // As SQLite computes it for the target's totals.
            #[expect(clippy::cast_possible_truncation, reason = "whole, and far below 2^63")]
            let back = (units * 100.0).round() as i64;
            assert_eq!(back, hundredths);
        }
    }

    #[test]
    fn an_amount_with_too_many_digits_is_rejected() {
        assert_eq!(amount("6.995"), None);
        assert_eq!(amount("35184372088832.01"), None);
    }
}
