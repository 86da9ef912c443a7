//! Personal data: the columns that a star declares as personal, so that a copy can leave them out.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::declare::row::CellType;
use crate::declare::star::Star;
use crate::declare::table::Table;

/// The name that stands for all personal columns.
pub const ALL: &str = "personal";

/// A column that is declared as personal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PersonalColumn {
    pub table: &'static str,
    pub column: &'static str,
}

impl fmt::Display for PersonalColumn {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(text, "{}.{}", self.table, self.column)
    }
}

impl Serialize for PersonalColumn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Star {
    /// All columns that are declared as personal.
    pub fn personal_columns(&self) -> Vec<PersonalColumn> {
        let columns_of = |table: &'static str, columns: &[&'static str]| -> Vec<PersonalColumn> {
            columns.iter().map(|column| PersonalColumn { table, column }).collect()
        };
        let tables = self.tables();
        tables
            .flat_map(|table| columns_of(table.name, &table.personal))
            .collect()
    }

    /// The personal columns with these names: `personal` stands for all, `COLUMN` for those of every table,
    /// `TABLE.COLUMN` for one.
    ///
    /// # Errors
    /// The first name that stands for no personal column.
    pub fn personal_columns_named<'a>(&self, names: &'a [String]) -> Result<Vec<PersonalColumn>, &'a str> {
        let is_meant =
            |name: &str, column: &PersonalColumn| name == ALL || name == column.column || name == column.to_string();
        let declared = self.personal_columns();
        if let Some(unknown) = names
            .iter()
            .find(|name| !declared.iter().any(|column| is_meant(name, column)))
        {
            return Err(unknown);
        }
        let named = declared
            .into_iter()
            .filter(|column| names.iter().any(|name| is_meant(name, column)));
        Ok(named.collect())
    }
}

/// Mistakes in the personal columns of a table: a copy has to be able to leave them out.
pub(crate) fn mistakes(table: &Table) -> Vec<String> {
    let mistake = |name: &&'static str| {
        let column = table.columns.iter().find(|column| column.name == *name);
        let problem = match column {
            None => "is not one of its columns",
            Some(_) if table.natural_key.contains(name) => "is its key",
            Some(column) if column.cell_type != CellType::Text && !column.nullable => "is neither text nor nullable",
            Some(_) => return None,
        };
        Some(format!("{name} is declared as personal, and {problem}"))
    };
    table.personal.iter().filter_map(mistake).collect()
}

#[cfg(test)]
mod tests {
    use super::mistakes;
    use crate::declare::row::{CellType, Column};
    use crate::test_star;

    fn named(names: &[&str]) -> Result<String, String> {
        let mut tables = test_star::tables();
        tables[0].personal = vec!["author", "owner"];
        tables[1].personal = vec!["owner"];
        let star = test_star::star_of(tables);
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let columns = star.personal_columns_named(&names).map_err(str::to_owned)?;
        let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
        Ok(columns.join(" "))
    }

    #[test]
    fn a_name_stands_for_one_column_for_those_of_all_tables_or_for_all() {
        assert_eq!(
            named(&["personal"]).unwrap(),
            "dim_book.author dim_book.owner fact_loan.owner"
        );
        assert_eq!(named(&["owner"]).unwrap(), "dim_book.owner fact_loan.owner");
        assert_eq!(named(&["fact_loan.owner"]).unwrap(), "fact_loan.owner");
        assert_eq!(named(&[]).unwrap(), "");
    }

    #[test]
    fn what_no_copy_can_leave_out_is_a_mistake() {
        let mut table = test_star::tables().remove(0);
        let column = |name, cell_type, nullable| Column {
            name,
            cell_type,
            nullable,
        };
        table.columns.extend([
            column("author", CellType::Text, false),
            column("born", CellType::Integer, true),
            column("pages", CellType::Integer, false),
        ]);
        table.personal = vec!["author", "born", "pages", "book_id", "owner"];
        assert_eq!(
            mistakes(&table),
            [
                "pages is declared as personal, and is neither text nor nullable",
                "book_id is declared as personal, and is its key",
                "owner is declared as personal, and is not one of its columns",
            ]
        );
    }

    #[test]
    fn a_name_that_is_not_declared_personal_is_an_error() {
        for unknown in ["book_id", "fact_loan.author", "Personal", "dim_book", ""] {
            assert_eq!(named(&["owner", unknown]), Err(unknown.to_owned()));
        }
    }
}
