//! `cargo xtask sim`: builds the simulation of whole farms, and runs it.

use crate::{Result, suite};
use std::path::Path;

/// Tokio's dice get a seed only with the first, and the second lets checks of the workers be left
/// out.
const FLAGS: &str = "--cfg tokio_unstable --cfg icefarm_simulation";

/// What the simulation ends with when an invariant was broken.
const BROKEN: i32 = 1;

/// Takes the arguments of the simulation.
pub(crate) fn run(args: &[String]) -> Result {
    let is_whole = !args.iter().any(|arg| arg == "--without-fencing" || arg == "--without");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("there is no workspace")?;
    let mut command = suite::cargo(&["run", "--quiet", "--package", "icefarm-simulation"]);
    // Other flags mean other code: it has a folder of its own, so that nothing is built twice.
    command.args(["--profile", "simulation", "--target-dir"]).arg(root.join("target/simulation"));
    command.arg("--").args(args).env("RUSTFLAGS", FLAGS);
    match (is_whole, command.status()?.code()) {
        (true, Some(0)) => Ok(()),
        (true, _) => Err("see above for what was broken, and how to look at it".into()),
        // It must find something, and not for want of having been built.
        (false, Some(BROKEN)) => {
            println!("without the check invariants are broken, as it should be");
            Ok(())
        }
        (false, Some(0)) => Err("a check of the workers was left out, and nothing noticed".into()),
        (false, _) => Err("the simulation was not run; see above".into()),
    }
}
