//! `cargo xtask sim`: builds the simulation of whole farms, and runs it.

use crate::{Result, suite};
use std::path::Path;

/// Set for tokio, whose dice get a seed only with it.
const DICE: &str = "--cfg tokio_unstable";
/// Set for the worker: it keeps nobody out.
const UNFENCED: &str = "--cfg tokio_unstable --cfg icefarm_without_fencing";

/// Takes the arguments of the simulation, and `--without-fencing`.
pub(crate) fn run(args: &[String]) -> Result {
    let (unfenced, args): (Vec<&String>, Vec<&String>) =
        args.iter().partition(|arg| *arg == "--without-fencing");
    let fenced = unfenced.is_empty();
    // Other flags mean other code: it has a folder of its own, so that nothing is built twice.
    let folder = if fenced { "simulation" } else { "simulation-without-fencing" };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("there is no workspace")?;
    let folder = root.join("target").join(folder);
    let mut command = suite::cargo(&["run", "--quiet", "--package", "icefarm-simulation"]);
    command.args(["--profile", "simulation", "--target-dir"]).arg(folder);
    command.arg("--").args(args);
    command.env("RUSTFLAGS", if fenced { DICE } else { UNFENCED });
    let status = command.status()?;
    match (fenced, status.code()) {
        (true, Some(0)) => Ok(()),
        (true, _) => Err("see above for what was broken, and how to look at it".into()),
        // It must find something, and not for want of having been built.
        (false, Some(BROKEN)) => {
            println!("without the fencing check invariants are broken, as it should be");
            Ok(())
        }
        (false, Some(0)) => Err("the fencing check was removed, and nothing noticed".into()),
        (false, _) => Err(status.to_string().into()),
    }
}

/// What the simulation ends with when an invariant was broken.
const BROKEN: i32 = 1;
