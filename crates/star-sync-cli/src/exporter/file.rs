//! Writes the metrics file for node_exporter's textfile collector.

use std::fs::Permissions;
use std::io::{Result, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Replaces the file atomically, so that a reader sees either the old text or the new one.
pub(crate) fn write(path: &Path, program: &str, text: &str) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Mode 0644, because the collector runs as another user; .tmp, because it reads every file that ends in .prom.
    let mut file = tempfile::Builder::new()
        .prefix(&format!(".{program}-"))
        .suffix(".tmp")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}
