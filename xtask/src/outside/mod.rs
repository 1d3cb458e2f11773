//! What others see of the project: its packages, and its guide for authors of states.

mod contents;
mod guide;
mod process;
mod project;

pub(crate) use guide::follow;

use crate::Result;
use std::fs;
use std::path::{Path, PathBuf};

/// `cargo xtask package`: packs what is to be published, and builds and runs a project of the
/// packages alone.
pub(crate) fn package(args: &[String]) -> Result {
    if !args.is_empty() {
        return Err("usage: cargo xtask package".into());
    }
    let base = fresh("icefarm-outside")?;
    let packages = contents::pack(&base.join("packages"))?;
    project::build_and_run(&base.join("project"), &packages)
}

/// The root of the repository.
fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/"))
}

/// Where the workspace compiles to: what was compiled of others' crates is used again.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

/// An empty folder outside of the repository. It is always the same one, so that what is compiled
/// there is compiled anew only where it differs.
fn fresh(name: &str) -> Result<PathBuf> {
    // Several working copies may be checked at a time.
    let copy = repository().display().to_string().replace(|c: char| !c.is_alphanumeric(), "-");
    let base = std::env::temp_dir().join(format!("{name}{copy}"));
    if base.starts_with(repository()) {
        return Err(
            format!("{} is not outside of the repository; set TMPDIR", base.display()).into()
        );
    }
    if base.exists() {
        fs::remove_dir_all(&base)?;
    }
    fs::create_dir_all(&base)?;
    Ok(base)
}
