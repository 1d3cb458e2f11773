//! `cargo xtask chipdb [--from PATH]`: condenses Project IceStorm's chip database of the iCE40UP5K
//! to the table that icefarm-sim builds in, and verifies that nothing is lost.

mod condense;
mod database;
mod table;
mod verify;

use crate::Result;
use database::Database;
use std::path::Path;

const DEFAULT: &str = "/usr/share/fpga-icestorm/chipdb/chipdb-5k.txt";

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Result {
    let from = match arguments {
        [] => DEFAULT,
        [flag, path] if flag == "--from" => path,
        _ => return Err("usage: cargo xtask chipdb [--from PATH]".into()),
    };
    let text = std::fs::read_to_string(from).map_err(|error| {
        format!("{from}: {error}; Debian: apt-get install fpga-icestorm-chipdb")
    })?;
    let database = Database::parse(&text)?;
    println!(
        "{from}: {} nets, {} names, {} switches, {} options",
        database.nets.len(),
        database.nets.iter().map(Vec::len).sum::<usize>(),
        database.switches.len(),
        database.switches.iter().map(|switch| switch.options.len()).sum::<usize>(),
    );
    let condensed = condense::condense(&database)?;
    println!(
        "condensed: {} kinds of tiles, {} groups of bits, {} options, {} rules, {} joins, {} absent",
        condensed.kinds.len(),
        condensed.kinds.iter().map(|kind| kind.groups.len()).sum::<usize>(),
        condensed
            .kinds
            .iter()
            .flat_map(|kind| &kind.groups)
            .map(|g| g.options.len())
            .sum::<usize>(),
        condensed.rules.len(),
        condensed.joins.len(),
        condensed.absent.len(),
    );
    let raw = table::encode(&database, &condensed)?;
    let compressed = zstd::bulk::compress(&raw, 22)?;
    verify::verify(&database, &compressed)?;
    let to = Path::new(env!("CARGO_MANIFEST_DIR")).join("../icefarm-sim/data/up5k.zst");
    std::fs::write(&to, &compressed)?;
    println!("{}: {} bytes ({} unpacked)", to.display(), compressed.len(), raw.len());
    Ok(())
}
