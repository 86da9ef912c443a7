//! Two views of a star: its rows without surrogate keys, and its surrogate keys over time.

use std::collections::BTreeMap;
use std::path::Path;

use crate::harness::Sandbox;

/// Every column of the star's tables and of the quarantine, one per line: table, column, what it refers to.
const COLUMNS: &str = "SELECT t.name || ' ' || c.name || ' ' || COALESCE(f.\"table\" || ' ' || f.\"to\", '') \
                       FROM sqlite_master t JOIN pragma_table_info(t.name) c \
                       LEFT JOIN pragma_foreign_key_list(t.name) f ON f.\"from\" = c.name WHERE t.type = 'table' \
                       AND (t.name LIKE 'dim%' OR t.name LIKE 'bridge%' OR t.name LIKE 'fact%' \
                       OR t.name = 'sync_reject')";
/// The calendar may keep years that no fact refers to any more.
const DAYS: &str = "date_key IN (SELECT date_key_rented FROM fact_rental UNION SELECT date_key_returned \
                    FROM fact_rental UNION SELECT date_key_paid FROM fact_payment)";

/// All rows of a star, by table. Natural keys replace surrogate keys, which differ from star to star.
pub fn rows(sandbox: &Sandbox, file: &Path) -> BTreeMap<String, Vec<String>> {
    let mut cells: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in sandbox.query(file, COLUMNS) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let cells = cells.entry(words[0].to_owned()).or_default();
        cells.extend(cell(words[1], &words[2..]));
    }
    assert_eq!(cells.len(), 12, "{cells:?}");
    let rows = |(table, cells): (String, Vec<String>)| {
        let condition = if table == "dim_date" { DAYS } else { "1" };
        let sql = format!("SELECT {} FROM {table} t WHERE {condition}", cells.join(" || ' ' || "));
        let rows = sandbox.query(file, &sql);
        (table, rows)
    };
    cells.into_iter().map(rows).collect()
}

/// A column's value with its name; none for surrogate keys and for the run that wrote the row.
fn cell(column: &str, reference: &[&str]) -> Option<String> {
    let is_surrogate_key = column.ends_with("_key") && column != "date_key";
    let value = match reference {
        [parent, key] if *parent != "dim_date" => {
            let natural_key = format!("{}_id", parent.trim_start_matches("dim_"));
            format!("(SELECT p.{natural_key} FROM {parent} p WHERE p.{key} = t.{column})")
        }
        _ if is_surrogate_key || column == "run_id" => return None,
        _ => format!("t.{column}"),
    };
    Some(format!("'{column}=' || quote({value})"))
}

/// The last surrogate key of each natural key, and the only natural key that each surrogate key may belong to.
#[derive(Default)]
pub struct SurrogateKeys {
    held: BTreeMap<String, String>,
    owners: BTreeMap<String, String>,
}

impl SurrogateKeys {
    /// Checks and records the surrogate keys after a run.
    pub fn see(&mut self, sandbox: &Sandbox) {
        let mut held = BTreeMap::new();
        for line in sandbox.surrogate_keys() {
            let (natural, surrogate) = line.split_once('=').unwrap();
            let (table, _) = natural.split_once(' ').unwrap();
            if let Some(before) = self.held.get(natural) {
                assert_eq!(before, surrogate, "the surrogate key of {natural} has changed");
            }
            let owner = self.owners.entry(format!("{table}={surrogate}"));
            let owner = owner.or_insert_with(|| natural.to_owned());
            assert_eq!(owner, natural, "a surrogate key was handed out again");
            held.insert(natural.to_owned(), surrogate.to_owned());
        }
        self.held = held;
    }
}
