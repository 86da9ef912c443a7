//! Makes SQLite sort what does not fit into its cache beside the target, where space is needed anyway. The system's
//! temporary folder may be small, read-only or missing.

use std::path::Path;

/// The target's folder, with symbolic links resolved. `None` if the user has set another one, or if the folder is not
/// writable: then SQLite chooses one itself.
pub(crate) fn beside(target: &Path) -> Option<String> {
    if std::env::var_os("SQLITE_TMPDIR").is_some() {
        return None;
    }
    let file = target.canonicalize().ok()?;
    let folder = file.parent()?;
    // Tested by writing: the file has no name, and is deleted when it is closed.
    tempfile::tempfile_in(folder).ok()?;
    folder.to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;
    use sea_orm::{Statement, StreamTrait};

    use super::super::{Access, connect};

    /// The files that this process has open, including those without a name.
    fn open_files() -> Vec<String> {
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
        let links = descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        links.map(|link| link.display().to_string()).collect()
    }

    #[tokio::test]
    async fn sqlite_sorts_beside_the_target() {
        // An apostrophe would end the PRAGMA's text.
        let folder = tempfile::Builder::new().prefix("it's").tempdir().unwrap();
        let target = folder.path().join("analytics.db");
        std::fs::File::create(&target).unwrap();
        let connection = connect(&target, Access::Read, 1).await.unwrap();
        let sorted = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) \
                      SELECT i, hex(zeroblob(100)) FROM n ORDER BY random()";
        let sorted = Statement::from_string(connection.get_database_backend(), sorted);
        let mut rows = connection.stream_raw(sorted).await.unwrap();
        rows.try_next().await.unwrap().unwrap();
        let prefix = format!("{}/etilqs_", folder.path().canonicalize().unwrap().display());
        let files = open_files();
        assert!(files.iter().any(|file| file.starts_with(&prefix)), "{files:?}");
    }
}
