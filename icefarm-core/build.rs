//! Cargo accepts `links` only beside a build script. `links` makes Cargo refuse two versions of
//! icefarm-core in one program, where half of the plug-ins would register with the wrong one.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
}
