//! Where the bitstreams of the tests are.

#![allow(clippy::print_stderr, reason = "whoever runs the tests must see what they left out")]

use std::path::PathBuf;

/// The circuits that come with the repository.
pub(crate) fn bundled(name: &str) -> Vec<u8> {
    let path = workspace().join("examples/circuits").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A bitstream of the Python iCEFARM's example, which lies beside the working copy on some
/// machines only. Says so if it is not there.
pub(crate) fn shared(name: &str) -> Option<Vec<u8>> {
    let path = workspace().join("../shared/bitstreams").join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            eprintln!("SKIPPED: {} cannot be read ({error})", path.display());
            None
        }
    }
}

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}
