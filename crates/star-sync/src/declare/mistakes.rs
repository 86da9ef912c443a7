//! Mistakes in a declaration that the compiler cannot find.

use std::collections::BTreeSet;

use crate::declare::lookup::{KeyType, KeysFrom, Lookup, LookupUse, Side};
use crate::declare::personal;
use crate::declare::row::CellType;
use crate::declare::source_table::{Family, SourceColumn};
use crate::declare::star::Star;
use crate::declare::table::{Follows, Kind, Table, TargetPageKey, When};
use crate::declare::totals::MOST_MEASURES;

/// The most columns that a natural key may have.
const MOST_KEY_COLUMNS: usize = 3;

/// All mistakes of a star, each with the name of the table concerned.
pub(crate) fn find(star: &Star) -> Vec<String> {
    let mut mistakes = Vec::new();
    for table in star.tables() {
        let of_table = [
            table.mistakes.clone(),
            of_sources(star, table),
            of_joins(table),
            of_references(star, table),
            of_columns(table),
            of_dates(table),
            of_key(table),
            of_lookups(star, table),
            of_follows(star, table),
            of_totals(table),
            personal::mistakes(table),
        ];
        let of_table = of_table.into_iter().flatten();
        mistakes.extend(of_table.map(|mistake| format!("{}: {mistake}", table.name)));
    }
    for source in &star.sources {
        let is_it = |column: &&SourceColumn| Some(column.name) == source.change_timestamp;
        if let Some(column) = source.columns.iter().find(is_it)
            && column.family != Family::Timestamp
        {
            mistakes.push(format!(
                "{}: {} is not a TIMESTAMP: without a time zone it does not show when a row changed",
                source.name, column.name
            ));
        }
    }
    for (position, source) in star.sources.iter().enumerate() {
        if star.sources[..position].iter().any(|other| other.name == source.name) {
            mistakes.push(format!("{} is listed twice among the source tables", source.name));
        }
    }
    if let Some(calendar) = &star.calendar {
        let unsupported = calendar
            .columns
            .iter()
            .filter(|column| column.cell_type == CellType::Unsupported);
        mistakes.extend(unsupported.map(|column| format!("{}: {}", calendar.table, unsupported_type(column.name))));
    }
    mistakes
}

fn unsupported_type(column: &str) -> String {
    format!(
        "{column} is declared with a type that cannot be written; i32, i64, f64, bool, String and NaiveDate can, and \
         an Option of them"
    )
}

/// Mistakes in the source tables of a table.
fn of_sources(star: &Star, table: &Table) -> Vec<String> {
    let mut mistakes = Vec::new();
    if star.source(table.source_table).map(|source| source.key) != Some(table.page_key) {
        mistakes.push(match table.page_key {
            Some(key) => format!("{} is not a source table with the key {key}", table.source_table),
            None => format!("{} is not a source table that is read whole", table.source_table),
        });
    }
    let affected_by = table.affected_by.iter().map(|lookup| lookup.source_table);
    let others = table.joined.iter().copied().chain(affected_by);
    let missing = others.filter(|source| star.source(source).is_none());
    mistakes.extend(missing.map(|source| format!("{source} is not a source table")));
    mistakes
}

/// Mistakes in the joins of a table.
fn of_joins(table: &Table) -> Vec<String> {
    let totals = table.totals.iter().map(|totals| (&totals.columns, &totals.joined));
    let records = [(&table.selected, &table.joined)].into_iter().chain(totals);
    let mut mistakes = Vec::new();
    for (columns, joined) in records {
        let is_there = |name: &str| name == table.source_table || joined.contains(&name);
        let without_join = columns.iter().filter(|column| !is_there(&column.table));
        mistakes.extend(
            without_join.map(|column| format!("it reads {}.{} without joining {0}", column.table, column.name)),
        );
    }
    mistakes
}

/// References to unknown tables.
fn of_references(star: &Star, table: &Table) -> Vec<String> {
    let calendar = star.calendar.as_ref().map(|calendar| calendar.table);
    let is_known = |parent: &str| star.table(parent).is_some() || calendar == Some(parent);
    let parents = table.references.iter().map(|reference| &reference.parent);
    let unknown = parents.filter(|parent| !is_known(parent));
    unknown
        .map(|parent| format!("it refers to {parent}, which is neither a table of the star nor its calendar"))
        .collect()
}

/// Columns of unsupported types, and names of columns that do not exist.
fn of_columns(table: &Table) -> Vec<String> {
    let unsupported = table
        .columns
        .iter()
        .filter(|column| column.cell_type == CellType::Unsupported);
    let unsupported = unsupported.map(|column| unsupported_type(column.name));
    let date = table.dates().map(|dates| dates.target);
    let filled = table.filled_lookups.iter().map(|filled| filled.lookup);
    let of_lookups = filled.flat_map(|lookup| [lookup.key, lookup.value]);
    let named = table.natural_key.iter().chain(&table.indexes).copied();
    let named = named.chain(date).chain(of_lookups);
    let missing = named.filter(|name| table.columns.iter().all(|column| column.name != *name));
    unsupported
        .chain(missing.map(|name| format!("it has no column {name}")))
        .collect()
}

/// Mistakes in the natural key.
fn of_key(table: &Table) -> Vec<String> {
    let mut mistakes = Vec::new();
    let columns = table.natural_key.len();
    if !(1..=MOST_KEY_COLUMNS).contains(&columns) {
        mistakes.push(format!(
            "its natural key, the columns declared as unique, has {columns} columns; it can have 1 to {MOST_KEY_COLUMNS}"
        ));
    }
    if table.kind == Kind::Bridge {
        return mistakes;
    }
    if table.kind == Kind::Dimension && columns > 1 {
        mistakes.push("the natural key of a dimension has to be one column".to_owned());
    }
    // Quarantined rows are identified by the source's primary key, and must be recognised when they return.
    let primary_key = table.selected.iter().take(table.primary_key_columns);
    if !table.has_unique_page_key() && !primary_key.eq(&table.source_key) {
        mistakes.push("its natural key has to be made of the source's primary key, in its order".to_owned());
    }
    if table.page_key.is_some() && matches!(table.target_page_key, TargetPageKey::Whole) {
        mistakes.push("its natural key has to hold the page key".to_owned());
    }
    for (source, target) in table.source_key.iter().zip(&table.natural_key) {
        let column = table.columns.iter().find(|column| column.name == *target);
        let fits = |cell_type: CellType| match source.family {
            Family::Integer => matches!(cell_type, CellType::BigInteger | CellType::Integer),
            Family::Text => cell_type == CellType::Text,
            Family::Date => matches!(cell_type, CellType::Date | CellType::Text),
            _ => false,
        };
        if column.is_some_and(|column| !fits(column.cell_type)) {
            mistakes.push(format!("its key {target} is not of the type of {}", source.name));
        }
    }
    mistakes
}

/// Mistakes in the lookups that a table uses and in those that it fills.
fn of_lookups(star: &Star, table: &Table) -> Vec<String> {
    let mut mistakes = Vec::new();
    let totals = table.totals.as_ref();
    let selected_by_totals = totals.map(|totals| &totals.columns[..]).unwrap_or_default();
    let of_totals = totals.map(|totals| &totals.lookups[..]).unwrap_or_default();
    for (uses, selected) in [
        (&table.lookups[..], &table.selected[..]),
        (of_totals, selected_by_totals),
    ] {
        for (position, used) in uses.iter().enumerate() {
            let lookup = used.lookup;
            let by_natural_key = match lookup.side {
                Side::Target => star.table(lookup.table).map(|table| table.natural_key == [lookup.key]),
                Side::Source => star.source(lookup.table).map(|_| true),
            };
            if lookup.side == Side::Target && lookup.table == table.name {
                mistakes.push("it looks up itself, which is not loaded yet: keep the natural key instead".to_owned());
            }
            match by_natural_key {
                None => mistakes.push(format!("it looks up {}, which is not declared", lookup.table)),
                Some(false) => mistakes.push(format!(
                    "it looks up {} by {}, which is not its natural key",
                    lookup.table, lookup.key
                )),
                Some(true) => {}
            }
            match used.keys {
                KeysFrom::Values(earlier) if !is_among(&uses[..position], earlier) => {
                    mistakes.push(format!("it looks up through {} before it looks that up", earlier.name));
                }
                KeysFrom::Column(column)
                    if selected.get(column).is_some_and(|column| {
                        (column.family == Family::Text) != (lookup.key_type == KeyType::Text)
                    }) =>
                {
                    mistakes.push(format!(
                        "it looks up {} in {}.{}, but only one of the two is a text",
                        selected[column].name, lookup.table, lookup.key
                    ));
                }
                _ => {}
            }
        }
    }
    mistakes.extend(of_looked_up_sources(star, table));
    for filled in &table.filled_lookups {
        if !matches!(table.target_page_key, TargetPageKey::Own(page_key) if page_key == filled.lookup.key) {
            mistakes.push(format!(
                "it fills a lookup by {}, which is not its page key",
                filled.lookup.key
            ));
        }
    }
    mistakes
}

/// Looked-up source tables whose affected rows are neither declared nor follow from a lookup by their key.
fn of_looked_up_sources(star: &Star, table: &Table) -> Vec<String> {
    let mut mistakes = Vec::new();
    for lookup in table.lookups.iter().map(|used| used.lookup) {
        // A changed row of a table without an integer key affects all rows.
        let source = star.source(lookup.table).filter(|_| lookup.side == Side::Source);
        let Some(key) = source.and_then(|source| source.key) else {
            continue;
        };
        let mut affected_by = table
            .affected_by
            .iter()
            .filter(|other| other.source_table == lookup.table);
        let is_found = affected_by.any(|other| other.follows_from.is_none_or(|(lookup, _)| lookup.key == key));
        if !is_found {
            let Lookup { table, key, .. } = lookup;
            mistakes.push(format!(
                "it looks up {table} by {key}: declare which rows a changed row of {table} affects, by affected_by or \
                 unaffected_by"
            ));
        }
    }
    mistakes
}

fn is_among(uses: &[LookupUse], lookup: &Lookup) -> bool {
    uses.iter().any(|used| used.lookup == lookup)
}

/// Mistakes in the followed facts.
fn of_follows(star: &Star, table: &Table) -> Vec<String> {
    let is_needed = |fact: &str| {
        let mut filled = star.table(fact).into_iter().flat_map(|fact| &fact.filled_lookups);
        filled.any(|filled| is_among(&table.lookups, filled.lookup))
    };
    let followed = table.follows.iter().map(|followed| followed.fact);
    let useless = followed.filter(|fact| !is_needed(fact));
    let mut mistakes: Vec<String> = useless
        .map(|fact| format!("it follows {fact}, and looks up nothing that it fills"))
        .collect();
    for used in &table.lookups {
        let Lookup {
            side, table: of, value, ..
        } = used.lookup;
        let Some(other) = star.table(of).filter(|_| *side == Side::Target) else {
            continue;
        };
        if other.kind == Kind::Fact {
            let is_it = |followed: &&Follows| followed.fact == *of && matches!(followed.when, When::LookupChanged);
            let is_filled = other.filled_lookups.iter().any(|filled| filled.lookup == used.lookup);
            if !is_filled || !table.follows.iter().any(|followed| is_it(&followed)) {
                mistakes.push(format!(
                    "it looks up {of}, which does not fill the lookup, or which it does not follow: changes there would \
                     not reach its rows"
                ));
            }
        } else if other.surrogate_key != Some(*value) {
            mistakes.push(format!(
                "it looks up {of}.{value}, which is not its surrogate key: changes there would not reach its rows"
            ));
        }
    }
    mistakes
}

/// Date keys that are not `i32`: their rows would be missing in the calendar's years, the fact's months and the
/// totals by day.
fn of_dates(table: &Table) -> Vec<String> {
    let day = table.totals.as_ref().and_then(|totals| totals.dates.as_ref());
    let names = table.date_columns.iter().copied().chain(day.map(|dates| dates.target));
    let names: BTreeSet<&str> = names.collect();
    let columns = table.columns.iter().filter(|column| names.contains(column.name));
    let others = columns.filter(|column| column.cell_type != CellType::Integer);
    others
        .map(|column| format!("{} is a date key: it has to be an i32 or an Option of one", column.name))
        .collect()
}

fn of_totals(table: &Table) -> Vec<String> {
    let Some(totals) = &table.totals else {
        return Vec::new();
    };
    let mut mistakes = totals.mistakes.clone();
    let measures = totals.sums.len();
    if measures > MOST_MEASURES {
        mistakes.push(format!("it has {measures} sums, and {MOST_MEASURES} are possible"));
    }
    let first = totals.columns.first().map(|column| column.name);
    if table.page_key.is_some() && first != table.page_key {
        mistakes.push("the record of its totals has to read the page key first".to_owned());
    }
    if let Some(dates) = &totals.dates
        && dates.source.table != table.source_table
        && !table.joined.iter().any(|joined| *joined == dates.source.table)
    {
        let (date_table, date) = (&dates.source.table, dates.source.name);
        mistakes.push(format!(
            "its days are those of {date_table}.{date}, and it does not join {date_table}"
        ));
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::declare::source_record::SelectedColumn;
    use crate::declare::source_table::SourceTable;
    use crate::test_star::{self, mistakes_of};

    #[test]
    fn a_sound_star_has_no_mistakes() {
        assert_eq!(mistakes_of(|_| ()), "");
    }

    #[test]
    fn a_column_that_is_not_read_cannot_be_looked_up() {
        let mistakes = mistakes_of(|tables| {
            let loan = tables.remove(1);
            tables.push(loan.looks_up(&test_star::BOOK, test_star::book::Column::BookId));
        });
        assert_eq!(mistakes, "fact_loan: it looks up book.book_id, which it does not read");
    }

    #[test]
    fn a_table_does_not_look_up_itself_nor_refer_to_one_that_is_not_there() {
        let mistakes = mistakes_of(|tables| {
            let mut book = tables
                .remove(0)
                .looks_up(&test_star::BOOK, test_star::book::Column::BookId);
            book.references.push(crate::declare::table::Reference {
                column: "book_id",
                parent: "dim_date".to_owned(),
                parent_column: "date_key".to_owned(),
            });
            book.selected.push(SelectedColumn {
                table: "shelf".to_owned(),
                name: "place",
                family: Family::Text,
            });
            tables.insert(0, book);
        });
        for mistake in [
            "dim_book: it looks up itself, which is not loaded yet",
            "dim_book: it refers to dim_date, which is neither a table of the star nor its calendar",
            "dim_book: it reads shelf.place without joining shelf",
        ] {
            assert!(mistakes.contains(mistake), "{mistakes}");
        }
    }

    #[test]
    fn a_text_is_not_looked_up_among_numbers_nor_by_another_column_than_the_natural_key() {
        static BY_TITLE: LazyLock<Lookup> = LazyLock::new(|| Lookup {
            key: "title",
            key_type: KeyType::Text,
            ..Lookup::in_target(
                "book",
                test_star::dim_book::Column::BookId,
                test_star::dim_book::Column::BookKey,
            )
        });
        let mistakes = mistakes_of(|tables| {
            let loan = tables.remove(1);
            tables.push(loan.looks_up(&BY_TITLE, test_star::loan::Column::LoanId));
        });
        for mistake in [
            "fact_loan: it looks up dim_book by title, which is not its natural key",
            "fact_loan: it looks up loan_id in dim_book.title, but only one of the two is a text",
        ] {
            assert!(mistakes.contains(mistake), "{mistakes}");
        }
    }

    #[test]
    fn what_a_changed_looked_up_row_affects_follows_from_its_key_or_has_to_be_declared() {
        use test_star::{book, loan};

        static BY_KEY: LazyLock<Lookup> =
            LazyLock::new(|| Lookup::in_source("book", book::Column::BookId, book::Column::BookId));
        static BY_ISBN: LazyLock<Lookup> = LazyLock::new(|| Lookup {
            key: "isbn",
            ..Lookup::in_source("book", book::Column::BookId, book::Column::BookId)
        });
        static THROUGH: LazyLock<Lookup> =
            LazyLock::new(|| Lookup::in_source("loan", loan::Column::LoanId, loan::Column::LoanId));
        let with = |change: fn(Table) -> Table| {
            mistakes_of(|tables| {
                let loan = tables.remove(1);
                tables.push(change(loan));
            })
        };
        let by_key = |loan: Table| loan.looks_up(&BY_KEY, loan::Column::LoanId);
        assert_eq!(with(by_key), "");
        let by_isbn = with(|loan| loan.looks_up(&BY_ISBN, loan::Column::LoanId));
        assert!(
            by_isbn.starts_with("fact_loan: it looks up book by isbn: declare"),
            "{by_isbn}"
        );
        let through = with(|loan| {
            loan.looks_up(&BY_KEY, loan::Column::LoanId)
                .looks_up_through(&BY_KEY, &THROUGH)
        });
        assert!(
            through.starts_with("fact_loan: it looks up loan by loan_id: declare"),
            "{through}"
        );
        let declared = with(|loan| {
            loan.unaffected_by(loan::Entity)
                .looks_up(&BY_KEY, loan::Column::LoanId)
                .looks_up_through(&BY_KEY, &THROUGH)
        });
        assert_eq!(declared, "");
    }

    #[test]
    fn only_the_surrogate_key_of_a_dimension_is_looked_up_and_facts_are_followed() {
        static ITSELF: LazyLock<Lookup> = LazyLock::new(|| {
            Lookup::in_target(
                "book",
                test_star::dim_book::Column::BookId,
                test_star::dim_book::Column::BookId,
            )
        });
        static LOAN: LazyLock<Lookup> = LazyLock::new(|| {
            Lookup::in_target(
                "loan",
                test_star::fact_loan::Column::LoanId,
                test_star::fact_loan::Column::LoanKey,
            )
        });
        let mistakes_with = |lookup: &'static Lookup| {
            mistakes_of(|tables| {
                let loan = tables.remove(1);
                tables.push(loan.looks_up(lookup, test_star::loan::Column::LoanId));
            })
        };
        assert!(mistakes_with(&ITSELF).contains("looks up dim_book.book_id, which is not its surrogate key"));
        assert!(mistakes_with(&LOAN).contains("looks up fact_loan, which does not fill the lookup"));
        assert!(!mistakes_with(&test_star::BOOK).contains("surrogate key"));
    }

    #[test]
    fn a_change_timestamp_has_a_zone() {
        let mut star = test_star::star_of(test_star::tables());
        star.sources[1] = SourceTable::of::<test_star::loan::Entity>(test_star::loan::Column::LoanId)
            .changed_at(test_star::loan::Column::BookId);
        assert!(star.mistakes().join("").contains("loan: book_id is not a TIMESTAMP"));
    }

    #[test]
    fn a_date_key_has_32_bits() {
        let mistakes = mistakes_of(|tables| tables[1].date_columns.push("loan_id"));
        assert!(mistakes.starts_with("fact_loan: loan_id is a date key"), "{mistakes}");
    }

    #[test]
    fn a_source_without_declaration_or_with_another_key_is_named() {
        let mistakes = mistakes_of(|tables| {
            tables[1].source_table = "book";
            tables[1].joined = vec!["nowhere"];
        });
        for mistake in [
            "fact_loan: book is not a source table with the key loan_id",
            "fact_loan: nowhere is not a source table",
        ] {
            assert!(mistakes.contains(mistake), "{mistakes}");
        }
    }
}
