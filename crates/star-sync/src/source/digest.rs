//! A digest of source rows, which the server computes in SQL and this program computes from decoded rows, with the same
//! result. The chance that two different sets of rows have the same digest is less than one in ten million.
//!
//! The digest of a set of rows is the row count and the sum of `CRC32(row)`. `row` is the sum of `value * multiplier`
//! over the columns, modulo a prime; each value is an integer of at most 33 bits, as is the prime. Values that two rows
//! exchange would cancel out in a sum of `row`; in a sum of checksums they almost never do. Multipliers are drawn once
//! for each target, so that rows that collide in one target do not collide in all, except for values that are already
//! equal before multiplication. All arithmetic is integer arithmetic within 63 bits.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Alias, Asterisk, Expr, ExprTrait, Func, JoinType, Order, Query, SelectStatement, UnionType};
use sea_orm::{Condition, DbErr, RelationDef};

use crate::declare::digest::Digest;
use crate::declare::key_range::KeyRange;
use crate::declare::source_rows::{SourceRow, SourceRows};
use crate::declare::source_table::Family;
pub use crate::source::digest_column::DigestColumn;
use crate::source::digest_column::{NULL, modulo, value};

/// The modulus of row sums: the smallest prime above the difference of any two values, so that changing one value of a
/// row always changes the sum.
const ROWS: i64 = 6_442_450_967;
const _: () = assert!(ROWS > NULL - i32::MIN as i64);
/// Columns whose products are added up before a modulo: `16 * 2^32 * (2^27 - 1) < 2^63`.
const COLUMNS_PER_SUM: usize = 16;
const MULTIPLIER_BITS: u32 = 27;

/// How to digest the rows of one source table and of the tables that it joins.
#[derive(Clone, Debug)]
pub struct DigestPlan {
    /// The key comes first and belongs to the table itself; the others are in select order.
    columns: Vec<DigestColumn>,
    multipliers: Vec<i64>,
    /// The joins from the first column's table to those of the others, in order.
    pub(crate) joins: Vec<RelationDef>,
    /// The condition for rows to be digested.
    pub(crate) only: Condition,
    /// The expression of the change timestamp.
    pub(crate) change_time: Expr,
}

/// The digest of one key range, as the server computed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RangeDigest {
    pub digest: Digest,
    /// The newest change timestamp, if the plan has one.
    pub newest: Option<DateTime<Utc>>,
}

impl DigestPlan {
    /// Digests these columns, of which the first is the integer key. `seed` is specific to the target. `None` if the
    /// key is not an integer or if a column's type has no digest.
    pub fn new(columns: Vec<DigestColumn>, seed: u64) -> Option<Self> {
        if columns.first()?.family != Family::Integer {
            return None;
        }
        Self::of_whole_table(columns, seed)
    }

    /// Digests these columns of a table without an integer key, which has no key ranges. `None` if a column's type has
    /// no digest.
    pub fn of_whole_table(columns: Vec<DigestColumn>, seed: u64) -> Option<Self> {
        let has_digest = |column: &DigestColumn| column.family != Family::Unsupported;
        if columns.is_empty() || !columns.iter().all(has_digest) {
            return None;
        }
        let mut state = seed;
        let multipliers = columns.iter().map(|_| multiplier(&mut state)).collect();
        Some(Self {
            columns,
            multipliers,
            joins: Vec::new(),
            only: Condition::all(),
            change_time: Expr::val(None::<String>),
        })
    }

    /// The digested columns, the key first.
    pub(crate) fn columns(&self) -> &[DigestColumn] {
        &self.columns
    }

    /// The key column.
    pub(crate) fn key(&self) -> Expr {
        self.columns[0].cell()
    }

    /// Selects the columns of the next rows after a key, in key order.
    pub(crate) fn select_page(&self, after: Option<i64>, rows: u64) -> SelectStatement {
        let mut page = self.select_rows();
        if let Some(after) = after {
            page.and_where(self.key().gt(after));
        }
        page.order_by_expr(self.key(), Order::Asc).limit(rows);
        // The page is a subquery, because the end row (see `answer::with_end`) requires a select that is neither
        // ordered nor limited itself.
        let names = self.columns.iter().map(|column| Alias::new(&column.name));
        Query::select().columns(names).from_subquery(page, "page").to_owned()
    }

    /// Selects the columns in order, unfiltered: the input of [`DigestPlan::of_rows`].
    pub fn select_rows(&self) -> SelectStatement {
        let mut select = Query::select();
        select.exprs(self.columns.iter().map(DigestColumn::cell));
        self.from(&mut select);
        select
    }

    /// Selects the digest of all rows: `label`, row count, the sum as text, and the newest change timestamp.
    pub fn select_digest(&self, label: i64) -> SelectStatement {
        let sum = Func::sum(Func::cust("CRC32").arg(self.row()));
        let mut select = Query::select();
        select
            .expr(Expr::val(label))
            .expr(Expr::col(Asterisk).count())
            .expr(Expr::expr(sum).if_null(0).cast_as("CHAR"))
            .expr(self.change_time.clone().max());
        self.from(&mut select);
        select
    }

    fn from(&self, select: &mut SelectStatement) {
        select.from(Alias::new(&self.columns[0].table));
        for relation in &self.joins {
            select.join(JoinType::LeftJoin, relation.to_tbl.clone(), relation.clone());
        }
        if !self.only.is_empty() {
            select.cond_where(self.only.clone());
        }
    }

    /// Selects the digest of each of these key ranges in one statement, labelled with its index. `None` if there are
    /// none.
    pub(crate) fn select_digests(&self, key_ranges: &[KeyRange]) -> Option<SelectStatement> {
        let key = self.columns[0].cell();
        let of_key_range = |(key_range, label): (&KeyRange, i64)| {
            let mut select = self.select_digest(label);
            select.cond_where(key_range.contains(&key)).to_owned()
        };
        let mut selects = key_ranges.iter().zip(0..).map(of_key_range);
        let first = selects.next()?;
        Some(selects.fold(first, |mut all, select| all.union(UnionType::All, select).to_owned()))
    }

    /// Decodes a row of `select_digest`: label and digest.
    ///
    /// # Errors
    /// If the row is not a digest.
    pub fn digest_in(row: SourceRow<'_>) -> Result<(i64, RangeDigest), DbErr> {
        let unfit = || DbErr::Type("not a digest".to_owned());
        let rows: i64 = row.key(1)?;
        let sum: String = row.known(2)?.ok_or_else(unfit)?;
        let digest = Digest {
            rows: rows.unsigned_abs(),
            sum: sum.parse().map_err(|_| unfit())?,
        };
        let newest = row.known(3)?;
        Ok((row.key(0)?, RangeDigest { digest, newest }))
    }

    /// The digest of decoded rows.
    pub fn of_rows(&self, rows: &SourceRows) -> Digest {
        let mut digest = Digest::default();
        for row in rows.iter() {
            digest += Digest::of_row(self.of_row(row));
        }
        digest
    }

    /// The checksum of a decoded row.
    pub(crate) fn of_row(&self, row: SourceRow<'_>) -> u32 {
        // The server's CRC32 takes a number as text.
        crc32fast::hash(itoa::Buffer::new().format(self.sum_of(row)).as_bytes())
    }

    fn sum_of(&self, row: SourceRow<'_>) -> i64 {
        let (mut of_row, mut sum) = (0, 0);
        for (position, (column, multiplier)) in self.columns.iter().zip(&self.multipliers).enumerate() {
            if position > 0 && position % COLUMNS_PER_SUM == 0 {
                of_row += sum % ROWS;
                sum = 0;
            }
            sum += value(row.raw(position), column) * multiplier;
        }
        (of_row + sum % ROWS) % ROWS
    }

    fn row(&self) -> Expr {
        let products: Vec<Expr> = self
            .columns
            .iter()
            .zip(&self.multipliers)
            .map(|(column, multiplier)| column.value().mul(*multiplier))
            .collect();
        let mut sums: Vec<Expr> = products
            .chunks(COLUMNS_PER_SUM)
            .map(|products| modulo(added(products.to_vec()), ROWS))
            .collect();
        // A single sum is already reduced modulo `ROWS`.
        if sums.len() == 1 {
            return sums.remove(0);
        }
        modulo(added(sums), ROWS)
    }
}

fn added(mut terms: Vec<Expr>) -> Expr {
    let first = terms.remove(0);
    terms.into_iter().fold(first, Expr::add)
}

/// The next multiplier of a sequence (SplitMix64): an odd number between 2^26 and 2^27. It is so large that products
/// exceed the modulus `ROWS` even for small values, such as 100. Small multipliers would give small sums, among which
/// equal ones are more frequent.
fn multiplier(state: &mut u64) -> i64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let high_bit = 1_u64 << (MULTIPLIER_BITS - 1);
    let bits = (mixed ^ (mixed >> 31)) & (high_bit - 1);
    (bits | high_bit | 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use sea_orm::sea_query::MysqlQueryBuilder;

    use super::*;

    fn column(name: &str, family: Family, full_type: &str) -> DigestColumn {
        DigestColumn::new("t", name, family, full_type)
    }

    #[test]
    fn a_table_with_a_type_that_has_no_digest_or_without_an_integer_key_has_none() {
        let key = column("id", Family::Integer, "bigint");
        assert!(DigestPlan::new(vec![key.clone(), column("x", Family::Unsupported, "blob")], 1).is_none());
        assert!(DigestPlan::new(vec![column("code", Family::Text, "char")], 1).is_none());
        assert!(DigestPlan::new(vec![], 1).is_none());
        assert!(DigestPlan::new(vec![key], 1).is_some());
    }

    #[test]
    fn the_server_is_asked_in_integers() {
        let columns = vec![
            column("id", Family::Integer, "bigint"),
            column("place", Family::Integer, "smallint"),
            column("amount", Family::Decimal, "decimal(5,2)"),
            column("made", Family::DateTime, "datetime"),
        ];
        let mut plan = DigestPlan::new(columns, 7).unwrap();
        plan.multipliers = vec![3, 5, 7, 9];
        assert_eq!(
            plan.select_digest(0).to_string(MysqlQueryBuilder),
            "SELECT 0, COUNT(*), CAST(IFNULL(SUM(CRC32(MOD((IFNULL(CAST(MOD(`t`.`id`, 2147483647) AS SIGNED), \
             4294967296) * 3) + (IFNULL(CAST(`t`.`place` AS SIGNED), 4294967296) * 5) \
             + (IFNULL(CAST((`t`.`amount` * (100)) AS SIGNED), 4294967296) * 7) \
             + (IFNULL(MOD(TO_SECONDS(`t`.`made`), 2147483647), 4294967296) * 9), 6442450967))), 0) AS CHAR), \
             MAX(NULL) FROM `t`"
        );
    }

    #[test]
    fn multipliers_differ_from_target_to_target() {
        let drawn = |seed: u64| {
            let mut state = seed;
            [multiplier(&mut state), multiplier(&mut state)]
        };
        let [one, two] = drawn(1);
        assert_ne!(one, two);
        assert_ne!(drawn(1), drawn(2));
        assert!([one, two].iter().all(|drawn| (1 << 26..1 << 27).contains(drawn)));
    }
}
