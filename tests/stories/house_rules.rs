//! The rules of the house, read off the repository itself, so that no reviewer has to remember
//! them. Their reasons are in `docs/architecture.md`.

mod dependencies;
mod documents;
mod features;
mod files;
mod modules;
mod stems;
mod template;

use std::path::Path;
use stories::root;

/// Fails with every breach of a rule at once, not only with the first.
fn assert_none(breaches: &[String]) {
    assert!(breaches.is_empty(), "\n\n  {}\n", breaches.join("\n  "));
}

/// A file of the repository.
fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files below some folders whose names end so, as paths from the project's folder. A folder
/// that is not there has none.
fn files(folders: &[&str], ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders: Vec<_> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Some(path) = relative(&path).filter(|path| path.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> Option<String> {
    Some(path.strip_prefix(root()).ok()?.to_str()?.replace('\\', "/"))
}

/// The functions' names: the folders of `functions/`.
fn stems() -> Vec<String> {
    let folder = root().join("functions");
    let entries =
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let folders = entries.flatten().filter(|entry| entry.path().is_dir());
    let mut stems: Vec<String> = folders
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    stems.sort();
    assert!(!stems.is_empty(), "{} has no function", folder.display());
    stems
}
