//! Without a build script, Cargo would not consider the build dependencies.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
