//! The server behind a source: product, version, schema, and the name that it is recognised by.

use std::sync::Arc;

use sea_orm::sea_query::{Expr, Func, Query};
use sea_orm::{DbErr, RuntimeErr};

use crate::error::{Doing, Result};
use crate::source::reader::SourceReader;
use crate::source::session::UnsupportedServer;
use crate::sql;

/// A MySQL or MariaDB server, as it describes itself.
#[derive(Clone, Debug)]
pub struct Server {
    pub version: String,
    pub is_mariadb: bool,
    pub schema: String,
    /// Identifies server and schema, for the run history.
    pub identity: String,
    /// The identifier that the server was installed with, the same at every address.
    pub id: String,
}

impl Server {
    /// Product and version, as shown to users.
    pub fn product(&self) -> String {
        let product = if self.is_mariadb { "MariaDB" } else { "MySQL" };
        let version = self.version.split("-MariaDB").next().unwrap_or_default();
        format!("{product} {version}")
    }

    pub(super) async fn describe(reader: &SourceReader, identity: String) -> Result<Self> {
        let doing = || "reading the version of the server".to_owned();
        let select = Query::select()
            .expr(Func::cust("VERSION"))
            .expr(Func::cust("DATABASE"))
            .expr(Expr::cust(sql::SERVER_COMMENT))
            .to_owned();
        let row = reader.one(&select).await.source(doing)?;
        let (version, schema, comment): (String, Option<String>, String) = match row {
            Some(row) => row.try_get_many_by_index().source(doing)?,
            None => (String::new(), None, String::new()),
        };
        if let Some(other) = UnsupportedServer::recognize(&version, &comment) {
            let error = DbErr::Conn(RuntimeErr::SqlxError(Arc::new(other.into())));
            return Err(error).source(doing);
        }
        let is_mariadb = version.contains("MariaDB");
        let id = if is_mariadb { sql::MARIADB_ID } else { sql::MYSQL_ID };
        let select = Query::select().expr(Expr::cust(id)).to_owned();
        let row = reader.one(&select).await.source(doing)?;
        Ok(Self {
            is_mariadb,
            id: row
                .map_or(Ok(String::new()), |row| row.try_get_by_index(0))
                .source(doing)?,
            schema: schema.unwrap_or_default(),
            version,
            identity,
        })
    }
}
