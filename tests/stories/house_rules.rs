//! Checks of the repository itself, so that reviewers need not remember the rules. The reasons are
//! in `docs/architecture.md`.

mod dependencies;
mod documents;
mod features;
mod files;
mod modules;
mod names;
mod stems;
mod template;

use std::path::Path;
use stories::root;

/// Fails with all breaches of a rule, not only with the first.
fn assert_none(breaches: &[String]) {
    assert!(breaches.is_empty(), "\n\n  {}\n", breaches.join("\n  "));
}

/// A file of the repository.
fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files with this ending below some folders, as paths from the root of the project. A folder
/// that does not exist has none.
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

/// The names of the functions: the folders of `functions/`.
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
