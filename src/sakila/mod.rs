//! Sakila's declarations: the source's tables, the star's tables, and nothing of how they are moved.

use std::sync::LazyLock;

use migration::{Migrator, MigratorTrait};
use star_sync::declare::table::{Names, Star};

pub mod source;
pub mod source_lookups;
pub mod star;

/// "SkSy", in the header of each target.
const APPLICATION_ID: i32 = 0x536B_5379;

/// The star, built once.
pub fn star() -> &'static Star {
    static STAR: LazyLock<Star> = LazyLock::new(|| Star {
        names: Names {
            program: "sakila-sync",
            source: "Sakila",
            metrics_prefix: "sakila_sync",
            application_id: APPLICATION_ID,
        },
        sources: source::tables(),
        phases: star::phases(),
        calendar: star::dim_date::calendar(),
        migrations: Migrator::migrations,
    });
    &STAR
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use sea_orm::sea_query::MysqlQueryBuilder;
    use star_sync::declare::lookup::{KeysFrom, Need, Side};
    use star_sync::declare::source_table::{Family, MARKER_COLUMN};
    use star_sync::declare::table::{Kind, Table, TargetPageKey};

    use super::*;

    fn columns(table: &Table) -> Vec<&str> {
        table.columns.iter().map(|column| column.name).collect()
    }

    #[test]
    fn every_column_that_a_declaration_names_is_there() {
        for table in star().tables() {
            let columns = columns(table);
            let publish = table.publishes.iter().flat_map(|publish| [publish.key, publish.value]);
            let page_key = match table.target_page_key {
                TargetPageKey::Own(page_key) => page_key,
                TargetPageKey::Through { surrogate_key, .. } => surrogate_key,
            };
            let named = table
                .natural_key
                .iter()
                .chain(&table.date_columns)
                .chain(&table.indexes)
                .copied()
                .chain(publish)
                .chain([page_key])
                .chain(table.totals.iter().map(|totals| totals.target_date));
            for name in named {
                assert!(columns.contains(&name), "{}.{name}", table.name);
            }
            assert!((1..=2).contains(&table.natural_key.len()), "{}", table.name);
            for reference in &table.references {
                assert!(columns.contains(&reference.column.as_str()), "{}", reference.column);
            }
        }
    }

    #[test]
    fn every_column_is_declared_with_a_type_that_the_engine_knows() {
        assert_eq!(star().unsupported_columns(), Vec::<String>::new());
        for source in &star().sources {
            for column in &source.columns {
                assert_ne!(column.family, Family::Unsupported, "{}.{}", source.name, column.name);
            }
        }
    }

    #[test]
    fn source_and_target_tables_are_one_to_one_and_page_by_the_key_that_changes_are_named_by() {
        let mut seen = HashSet::new();
        for table in star().tables() {
            assert!(
                seen.insert(table.source_table),
                "{} feeds two tables",
                table.source_table
            );
            let source = star().source(table.source_table).expect(table.source_table);
            assert_eq!(source.key, table.page_key, "{}", table.name);
            let others = table
                .joined
                .iter()
                .copied()
                .chain(table.looked_up.iter().map(|lookup| lookup.source_table));
            for other in others {
                assert!(star().source(other).is_some(), "{} depends on {other}", table.name);
            }
        }
    }

    #[test]
    fn every_table_whose_columns_a_select_reads_makes_its_rows_stale() {
        for table in star().tables() {
            let sql = (table.select)().to_string(MysqlQueryBuilder);
            let read: BTreeSet<&str> = star()
                .sources
                .iter()
                .map(|source| source.name)
                .filter(|name| sql.contains(&format!("`{name}`.")))
                .collect();
            let stale: BTreeSet<&str> = table.joined.iter().copied().chain([table.source_table]).collect();
            assert_eq!(read, stale, "{}", table.name);
        }
    }

    /// Whether each lookup has its rows by then, and its keys from the lookups before it.
    fn assert_can_be_filled(needs: &[Need], loaded: &HashSet<&str>, table: &str) {
        for (position, need) in needs.iter().enumerate() {
            let lookup = need.lookup;
            match lookup.side {
                Side::Target => assert!(loaded.contains(lookup.table), "{table}"),
                Side::Source => assert!(star().source(lookup.table).is_some(), "{table}"),
            }
            if let KeysFrom::Values(earlier) = need.keys {
                let is_earlier = needs[..position].iter().any(|need| std::ptr::eq(need.lookup, earlier));
                assert!(is_earlier, "{table} looks up through {}", earlier.name);
            }
        }
    }

    #[test]
    fn what_totals_are_made_of_begins_with_the_page_key_and_the_last_change() {
        for table in star().tables() {
            if let Some(totals) = &table.totals {
                let sql = (totals.source)().to_string(MysqlQueryBuilder);
                let source = table.source_table;
                let begins = format!("SELECT `{source}`.`{}`, `{source}`.`{MARKER_COLUMN}`, ", table.page_key);
                assert!(sql.starts_with(&begins), "{sql}");
            }
        }
    }

    #[test]
    fn a_table_comes_after_what_it_looks_up_follows_or_points_to() {
        let mut loaded = HashSet::from([star().calendar.table]);
        for phase in &star().phases {
            for table in phase {
                assert_can_be_filled(&table.needs, &loaded, table.name);
                if let Some(totals) = &table.totals {
                    assert_can_be_filled(&totals.needs, &HashSet::new(), table.name);
                }
                for followed in &table.follows {
                    assert!(
                        loaded.contains(followed.fact),
                        "{} follows {}",
                        table.name,
                        followed.fact
                    );
                    let fact = star().table(followed.fact).expect(followed.fact);
                    let is_needed = |need: &Need| {
                        let mut published = fact.publishes.iter();
                        published.any(|publish| std::ptr::eq(need.lookup, publish.lookup))
                    };
                    assert!(
                        table.needs.iter().any(is_needed),
                        "{} needs nothing of {}",
                        table.name,
                        followed.fact
                    );
                }
                for reference in &table.references {
                    assert!(loaded.contains(reference.parent.as_str()), "{}", table.name);
                }
                assert_eq!(
                    table.kind == Kind::Dimension,
                    table.references.is_empty(),
                    "{}",
                    table.name
                );
            }
            loaded.extend(phase.iter().map(|table| table.name));
        }
    }
}
