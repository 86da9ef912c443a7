//! Rules of the code that the compiler does not check.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// Words of the first declared source, which the engine and the command line must not contain. They are split so that
/// this file does not contain them either.
const SOURCE_WORDS: [[&str; 2]; 8] = [
    ["sak", "ila"],
    ["ren", "tal"],
    ["pay", "ment"],
    ["fi", "lm"],
    ["inven", "tory"],
    ["custo", "mer"],
    [" ce", "nts"],
    ["last_", "update "],
];

/// Modules in the order of the crate's documentation: imports go downwards.
const MODULES: [&str; 7] = ["runs", "changes", "compare", "pipeline", "target", "source", "declare"];

/// Modules outside that order, each with the modules that it may import.
const REPORTS_FROM: [(&str, &[&str]); 4] = [
    ("error", &["target", "source"]),
    ("metrics", &["target"]),
    ("sql", &[]),
    ("stop", &[]),
];

fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path] });
    files.collect()
}

/// The module of this crate that a file is in.
fn module_of(file: &Path) -> String {
    let path = file.strip_prefix(crate_folder().join("src")).unwrap();
    let module = path.components().next().unwrap().as_os_str().to_str().unwrap();
    module.trim_end_matches(".rs").to_owned()
}

fn may_import(module: &str, imported: &str) -> bool {
    let Some(level) = MODULES.iter().position(|name| *name == imported) else {
        return true;
    };
    if let Some((_, allowed)) = REPORTS_FROM.iter().find(|(name, _)| *name == module) {
        return allowed.contains(&imported);
    }
    let Some(own_level) = MODULES.iter().position(|name| *name == module) else {
        return true;
    };
    own_level <= level && (module, imported) != ("target", "source")
}

#[test]
fn neither_engine_nor_command_line_names_anything_of_a_source() {
    let command_line = crate_folder().join("../star-sync-cli");
    let folders = [crate_folder(), &command_line].map(|folder| folder.join("src"));
    let manifests = [crate_folder(), &command_line].map(|folder| folder.join("Cargo.toml"));
    let files = folders.iter().flat_map(|folder| files_in(folder)).chain(manifests);
    for file in files {
        let text = read_to_string(&file).unwrap().to_lowercase();
        // Punctuation becomes a space, so that every word ends with one.
        let text = text.replace(|letter: char| letter != '_' && !letter.is_alphanumeric(), " ");
        for word in SOURCE_WORDS.map(|halves| halves.concat()) {
            assert!(!text.contains(&word), "{} says {word}", file.display());
        }
    }
}

#[test]
fn imports_go_downwards() {
    for file in files_in(&crate_folder().join("src")) {
        let (module, text) = (module_of(&file), read_to_string(&file).unwrap());
        for rest in text.split("crate::").skip(1) {
            let imported = rest.split(|letter: char| letter != '_' && !letter.is_alphanumeric());
            let imported = imported.into_iter().next().unwrap_or_default();
            assert!(
                may_import(&module, imported),
                "{} imports crate::{imported}",
                file.display()
            );
        }
    }
    assert!(may_import("runs", "declare") && may_import("error", "source"));
    assert!(!may_import("target", "source") && !may_import("source", "target") && !may_import("compare", "runs"));
}
