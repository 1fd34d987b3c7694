//! The version of this build.

use std::sync::LazyLock;

static TEXT: LazyLock<String> =
    LazyLock::new(|| with_commit(env!("CARGO_PKG_VERSION"), option_env!("ONAIR_COMMIT")));

/// The version, and the commit if the build set `ONAIR_COMMIT`.
pub(crate) fn text() -> &'static str {
    &TEXT
}

/// A container build sets an argument that was omitted to an empty string.
fn with_commit(version: &str, commit: Option<&str>) -> String {
    match commit.map(str::trim).filter(|commit| !commit.is_empty()) {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::with_commit;

    #[test]
    fn the_commit_is_shown_if_the_build_knows_it() {
        assert_eq!(with_commit("1.2.3", Some("0123abc")), "1.2.3 (0123abc)");
        assert_eq!(with_commit("1.2.3", Some("")), "1.2.3");
        assert_eq!(with_commit("1.2.3", None), "1.2.3");
    }
}
