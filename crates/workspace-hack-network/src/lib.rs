//! No code: only features, in `Cargo.toml`.
