//! `docs/schema.md`: the columns that it lists are those that there are, and its five questions have the answers that
//! plain SQL on the source gives.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, types::ValueRef};

use crate::harness::Sandbox;

const DOCUMENT: &str = include_str!("../../docs/schema.md");
const LARGEST_ROUNDING: f64 = 0.001;

/// The five questions, by the titles of their sections, as the source answers them: one line per row, cells parted by `|`.
const ANSWERS: [(&str, &str); 5] = [
    (
        "Revenue by category and month",
        "SELECT CONCAT_WS('|', COALESCE(category, '-'), month, SUM(amount)) FROM \
         (SELECT c.name AS category, DATE_FORMAT(p.payment_date, '%Y-%m') AS month, p.amount \
          FROM payment p LEFT JOIN rental r ON r.rental_id = p.rental_id \
          LEFT JOIN inventory i ON i.inventory_id = r.inventory_id LEFT JOIN film_category b ON b.film_id = i.film_id \
          LEFT JOIN category c ON c.category_id = b.category_id) payments GROUP BY category, month",
    ),
    (
        "The best customers of each country",
        "SELECT CONCAT_WS('|', country, customer_id, first_name, last_name, revenue) FROM \
         (SELECT n.country, c.customer_id, c.first_name, c.last_name, SUM(p.amount) AS revenue, \
          RANK() OVER (PARTITION BY n.country ORDER BY SUM(p.amount) DESC) AS place \
          FROM payment p JOIN customer c ON c.customer_id = p.customer_id JOIN address USING (address_id) \
          JOIN city USING (city_id) JOIN country n USING (country_id) \
          GROUP BY n.country, c.customer_id, c.first_name, c.last_name) customers WHERE place = 1",
    ),
    (
        "The films that come back late",
        "SELECT CONCAT_WS('|', title, rentals, late, late / rentals, still_out) FROM \
         (SELECT f.film_id, f.title, COUNT(*) AS rentals, \
          SUM(DATEDIFF(COALESCE(return_date, '{today}'), rental_date) > f.rental_duration) AS late, \
          SUM(return_date IS NULL AND DATEDIFF('{today}', rental_date) > f.rental_duration) AS still_out \
          FROM rental JOIN inventory USING (inventory_id) JOIN film f USING (film_id) \
          GROUP BY f.film_id, f.title ORDER BY late DESC, rentals, film_id LIMIT 10) films",
    ),
    (
        "The most popular actors",
        "SELECT CONCAT_WS('|', actor_id, first_name, last_name, rentals) FROM \
         (SELECT a.actor_id, a.first_name, a.last_name, COUNT(*) AS rentals FROM rental \
          JOIN inventory USING (inventory_id) JOIN film_actor USING (film_id) JOIN actor a USING (actor_id) \
          GROUP BY a.actor_id, a.first_name, a.last_name ORDER BY rentals DESC, actor_id LIMIT 10) actors",
    ),
    (
        // How many of a weekday there are between two days follows from how many days its first one is after the first day.
        "Rentals by weekday",
        "SELECT CONCAT_WS('|', weekday + 1, name, rentals, \
                rentals / (FLOOR((days - (weekday - WEEKDAY(first) + 7) % 7) / 7) + 1)) FROM \
         (SELECT WEEKDAY(rental_date) AS weekday, DAYNAME(rental_date) AS name, COUNT(*) AS rentals FROM rental \
          GROUP BY WEEKDAY(rental_date), DAYNAME(rental_date)) rentals, \
         (SELECT DATE(MIN(rental_date)) AS first, DATEDIFF(MAX(rental_date), MIN(rental_date)) AS days FROM rental) period",
    ),
];

/// The sections of a chapter by their titles.
fn sections(chapter: &str) -> BTreeMap<&'static str, &'static str> {
    let chapter = DOCUMENT.split("\n## ").find_map(|text| text.strip_prefix(chapter));
    let sections = chapter.expect("the document has this chapter").split("\n### ").skip(1);
    sections.filter_map(|section| section.split_once('\n')).collect()
}

/// The block of a section in this language.
fn block(section: &'static str, language: &str) -> &'static str {
    let opened = section
        .split_once(&format!("```{language}\n"))
        .expect("there is a block")
        .1;
    opened.split_once("\n```").expect("it is closed").0
}

/// The cells of a line of a table.
fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split(" | ").map(str::trim).collect()
}

/// Whether a column may be NULL, by the last cell of its line.
fn may_be_null(cells: &[&str]) -> bool {
    !cells.last().unwrap().trim_matches('|').trim().is_empty()
}

/// The columns that the document lists, by table or view.
fn documented_columns() -> BTreeMap<String, Vec<String>> {
    let chapters = ["Dimensions", "Bridges", "Facts", "Views", "The sync's own tables"];
    let tables = chapters.iter().flat_map(|chapter| sections(chapter));
    let columns = tables.map(|(table, text)| {
        let names = text
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .inspect(|(column, cells)| {
                // An empty cell leaves its border in front.
                let is_described = cells
                    .split(" | ")
                    .nth(2)
                    .is_some_and(|meaning| !meaning.starts_with('|'));
                assert!(is_described, "{table}.{column} has no meaning");
            });
        (table.to_owned(), names.map(|(name, _)| name.to_owned()).collect())
    });
    columns.collect()
}

#[test]
fn every_column_of_every_table_and_view_is_described() {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    let there = sandbox.star(
        "SELECT m.name || ' ' || printf('%03d', c.cid) || ' ' || c.name FROM sqlite_master m \
         JOIN pragma_table_info(m.name) c WHERE m.type IN ('table', 'view') \
         AND m.name NOT GLOB 'sqlite_*' AND m.name <> 'seaql_migrations'",
    );
    let mut columns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in there {
        let words: Vec<&str> = line.split(' ').collect();
        columns
            .entry(words[0].to_owned())
            .or_default()
            .push(words[2].to_owned());
    }
    assert_eq!(documented_columns(), columns);
}

/// Of each column of a table its type, as SQLite takes it, whether it is the primary key, and whether it may be NULL: the second and the last
/// cell of its line.
#[test]
fn the_types_of_columns_are_those_that_they_have() {
    let sandbox = Sandbox::new();
    sandbox.run(&["init"]).succeeds();
    let chapters = ["Dimensions", "Bridges", "Facts", "The sync's own tables"];
    for (table, text) in chapters.iter().flat_map(|chapter| sections(chapter)) {
        let lines = text.lines().filter(|line| line.starts_with("| `"));
        // The first column of a key names the others.
        let with_first = text
            .split_once("primary key with ")
            .map_or("", |(_, rest)| rest.split('|').next().unwrap());
        let documented: Vec<String> = lines
            .map(|line| {
                let cells = cells(line);
                let is_key = cells[1].contains("primary key") || with_first.contains(cells[0]);
                let data_type = cells[1].split(',').next().unwrap();
                format!("{} {data_type} {is_key} {}", cells[0], may_be_null(&cells))
            })
            .collect();
        let there = sandbox.star(&format!(
            "SELECT printf('%03d', cid) || '`' || name || '` ' || \
             CASE WHEN type LIKE '%INT%' THEN 'INTEGER' WHEN type LIKE '%CHAR%' OR type LIKE '%TEXT%' THEN 'TEXT' \
             WHEN type LIKE '%DOUB%' THEN 'REAL' ELSE upper(type) END || iif(pk, ' true', ' false') || \
             iif(\"notnull\" OR pk, ' false', ' true') FROM pragma_table_info('{table}')"
        ));
        let there: Vec<&str> = there.iter().map(|line| &line[3..]).collect();
        assert_eq!(documented, there, "{table}");
    }
}

/// The rows that a query yields, a line each.
fn rows(file: &Path, sql: &str) -> Vec<String> {
    let star = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut statement = star.prepare(sql).unwrap_or_else(|error| panic!("{error} in {sql}"));
    let width = statement.column_count();
    let mut found = statement.query([]).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = found.next().unwrap() {
        let cells = (0..width).map(|position| match row.get_ref(position).unwrap() {
            ValueRef::Null => "-".to_owned(),
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Real(number) => format!("{number:.6}"),
            cell => cell.as_str().unwrap().to_owned(),
        });
        rows.push(cells.collect::<Vec<_>>().join("|"));
    }
    rows.sort_unstable();
    rows
}

/// Whether both sides say the same, but for the last digits of averages.
fn is_same(one: &str, other: &str) -> bool {
    let (one, other): (Vec<&str>, Vec<&str>) = (one.split('|').collect(), other.split('|').collect());
    let is_same_cell = |(one, other): (&&str, &&str)| match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => (one - other).abs() < LARGEST_ROUNDING,
        _ => one == other,
    };
    one.len() == other.len() && one.iter().zip(&other).all(is_same_cell)
}

/// Asks each question of a file, and compares with the source.
fn assert_questions_are_answered(sandbox: &Sandbox, file: &Path) {
    let questions = sections("Five questions");
    assert_eq!(questions.len(), ANSWERS.len());
    let today = sandbox.figure("SELECT date(last_synced) FROM freshness WHERE source_table = 'rental'");
    for (title, source) in ANSWERS {
        let star = rows(file, block(questions[title], "sql"));
        // In the star a name is one text.
        let names = |line: &String| line.replace(' ', "|");
        let source = sandbox.source(&source.replace("{today}", &today));
        let (star, source): (Vec<String>, Vec<String>) =
            (star.iter().map(names).collect(), source.iter().map(names).collect());
        let is_same = star.len() == source.len() && star.iter().zip(&source).all(|(one, other)| is_same(one, other));
        assert!(is_same, "{title}: {star:#?} instead of {source:#?}");
        assert!(!star.is_empty(), "{title}");
    }
}

/// A star of which every question has an answer that is out of the ordinary.
fn odd_star() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.change(&[
        // A film in two categories and one in none, a payment without a rental, a day without rentals.
        "INSERT INTO film_category (film_id, category_id) SELECT film_id, 1 + category_id % 16 FROM film_category \
         WHERE film_id = 1",
        "DELETE FROM film_category WHERE film_id = 2",
        "INSERT INTO payment (customer_id, staff_id, amount, payment_date) VALUES (1, 2, 0.1, '2025-12-31 23:59:59')",
        "UPDATE payment SET rental_id = NULL WHERE rental_id IN (SELECT rental_id FROM rental WHERE DATE(rental_date) = \
         (SELECT DATE(rental_date) FROM rental WHERE rental_id = 8000))",
        "DELETE FROM rental WHERE DATE(rental_date) = \
         (SELECT day FROM (SELECT DATE(rental_date) AS day FROM rental WHERE rental_id = 8000) AS quiet)",
    ]);
    sandbox.load();
    sandbox
}

#[test]
fn the_five_questions_have_the_answers_that_the_source_gives() {
    let sandbox = odd_star();
    assert_questions_are_answered(&sandbox, &sandbox.target());
    sandbox.run(&["copy", "readers.db"]).succeeds();
    assert_questions_are_answered(&sandbox, &sandbox.folder().join("readers.db"));
}

#[test]
fn columns_of_views_are_null_only_where_the_document_says_so() {
    let sandbox = odd_star();
    for (view, text) in sections("Views") {
        for line in text.lines().filter(|line| line.starts_with("| `")) {
            let cells = cells(line);
            if !may_be_null(&cells) {
                let nulls = format!("SELECT COUNT(*) FROM {view} WHERE {} IS NULL", cells[0]);
                assert_eq!(sandbox.figure(&nulls), "0", "{nulls}");
            }
        }
    }
}

mod needs_lake_readers {
    use std::process::Command;

    use crate::harness::Run;

    #[test]
    #[ignore = "needs a Python with Datasette and DuckDB, which SAKILA_SYNC_LAKE_PYTHON names"]
    fn datasette_and_duckdb_answer_the_five_questions_as_sqlite_does() {
        let sandbox = super::odd_star();
        super::assert_questions_are_answered(&sandbox, &sandbox.target());
        sandbox.run(&["copy", "readers.db"]).succeeds();
        for file in ["analytics.db", "readers.db"] {
            let mut command = Command::new(std::env::var_os("SAKILA_SYNC_LAKE_PYTHON").unwrap());
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/questions");
            command.current_dir(sandbox.folder()).args([script, file]);
            let answers = Run::of(command).succeeds().stdout;
            assert_eq!(answers.matches("as in sqlite3").count(), 11, "{file}: {answers}");
        }
    }
}

mod needs_dump {
    use crate::harness::Sandbox;

    #[test]
    #[ignore = "needs the official dump, in the folder that SAKILA_DUMP_DIR names"]
    fn the_five_questions_have_the_answers_that_the_official_sakila_gives() {
        let sandbox = Sandbox::official();
        sandbox.load();
        super::assert_questions_are_answered(&sandbox, &sandbox.target());
    }
}

mod needs_pandas {
    use std::fs;
    use std::process::Command;

    use crate::harness::Run;

    /// Runs both blocks of each question; the file is the one that the first block names.
    const ASK: &str = r#"
import math, re, sys
document = open(sys.argv[1]).read().split("\n## Five questions")[1].split("\n## ")[0]
blocks = re.findall(r"```(sql|python)\n(.*?)\n```", document, re.S)
names = {}
exec(blocks.pop(0)[1], names)

def rows(frame):
    cell = lambda value: "" if value is None or value != value else value
    key = lambda row: [str(value) for value in row]
    return sorted((tuple(map(cell, row)) for row in frame.itertuples(index=False)), key=key)

def same(one, other):
    return math.isclose(one, other) if isinstance(one, float) else one == other

asked = 0
for (_, sql), (_, python) in zip(blocks[::2], blocks[1::2]):
    by_sql = names["pd"].read_sql(sql, names["star"])
    exec(python, names)
    answer = names["answer"]
    assert sorted(answer.columns) == sorted(by_sql.columns), (answer.columns, by_sql.columns)
    one, other = rows(answer[by_sql.columns]), rows(by_sql)
    assert len(one) == len(other) > 0, (len(one), len(other), python)
    for left, right in zip(one, other):
        assert all(map(same, left, right)), (left, right, python)
    asked += 1
print(asked, "questions")
"#;

    #[test]
    #[ignore = "needs a Python with pandas: python3, or the one that SAKILA_SYNC_PYTHON names"]
    fn pandas_answers_the_five_questions_as_sql_does() {
        let sandbox = super::odd_star();
        super::assert_questions_are_answered(&sandbox, &sandbox.target());
        let copies = sandbox.folder().join("copies");
        fs::create_dir(&copies).unwrap();
        sandbox.run(&["copy", "copies/analytics.db"]).succeeds();
        let python = std::env::var_os("SAKILA_SYNC_PYTHON").unwrap_or_else(|| "python3".into());
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schema.md");
        for folder in [sandbox.folder(), &copies] {
            let mut command = Command::new(&python);
            command.current_dir(folder).args(["-c", ASK, document]);
            assert_eq!(Run::of(command).succeeds().stdout, "5 questions\n");
        }
    }
}
