//! Files: bitstreams, tables, TOML.

use super::messages::clear;
use clap::{Arg, ArgAction, Command};
use icefarm::config;
use icefarm::faults::FaultFile;
use icefarm_sim::fpga::{Bitstream, Chip, Limits, Refusal, Window, count_pulses};
use std::path::{Path, PathBuf};

type Checked = Result<(), String>;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn all(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let folder = repository().join(folder);
    let entries = folder.read_dir().expect("the folder is in the repository");
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == ending));
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read(path).ok()).collect()
}

pub(super) fn bitstreams() -> Vec<Vec<u8>> {
    all("examples/circuits", "bin")
}

/// Simulated for less than a millisecond, so that it is over soon.
const WINDOW: Window<'static> = Window { cycles: 2000, pin: "27" };
const LIMITS: Limits<'static> = Limits { work: 3_000_000, cancel: None };

pub(super) fn bitstream(input: &[u8]) -> Checked {
    let mut bytes = input.to_vec();
    // A damaged file would come no further than its checksum.
    for _ in 0..4 {
        let Err(Refusal::BadCrc { at, expected, .. }) = Bitstream::parse(&bytes) else { break };
        let Some(place) = bytes.get_mut(at..at + 2) else {
            return Err(format!("the checksum is said to be at {at} of {}", bytes.len()));
        };
        place.copy_from_slice(&expected.to_be_bytes());
    }
    match count_pulses(&bytes, WINDOW, &LIMITS) {
        Ok(count) if count.pulses > WINDOW.cycles => {
            Err(format!("{} pulses in {} cycles", count.pulses, WINDOW.cycles))
        }
        Ok(_) => Ok(()),
        Err(refusal) => clear(&format!("{}{refusal}", refusal.code())),
    }
}

pub(super) fn chips() -> Vec<Vec<u8>> {
    let table = std::fs::read(repository().join("icefarm-sim/data/up5k.zst")).expect("the table");
    // As it is when it is unpacked: damage to a zstd frame is mostly found by zstd.
    vec![zstd::bulk::decompress(&table, 4 << 20).expect("the table is sound")]
}

pub(super) fn chip(input: &[u8]) -> Checked {
    if let Err(error) = Chip::decode(input) {
        clear(&error.to_string())?;
    }
    let packed = zstd::bulk::compress(input, 1).map_err(|error| error.to_string())?;
    match Chip::decode(&packed) {
        Ok(_) => Ok(()),
        Err(error) => clear(&error.to_string()),
    }
}

pub(super) fn configs() -> Vec<Vec<u8>> {
    let text = "[client]\ncontrol = \"http://127.0.0.1:8080\"\nname = \"alice\"\n\n[worker]\n\
                listen = \"127.0.0.1:8081\"\nsim-serial = [\"A\", \"B\"]\nsim = 4\nsim_speed = 2.5\n\
                insecure = true\n";
    vec![text.as_bytes().to_vec()]
}

fn command() -> Command {
    let flag = |name: &'static str| Arg::new(name).long(name);
    let worker = Command::new("worker")
        .arg(flag("listen"))
        .arg(flag("sim-serial").action(ArgAction::Append))
        .arg(flag("sim").value_parser(clap::value_parser!(u32)))
        .arg(flag("sim-speed").value_parser(clap::value_parser!(f64)))
        .arg(flag("insecure").action(ArgAction::SetTrue));
    let devices =
        Command::new("devices").arg(flag("control")).arg(Arg::new("client_name").long("name"));
    Command::new("icefarm").subcommand(worker).subcommand(devices)
}

pub(super) fn config(input: &[u8]) -> Checked {
    let file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    std::fs::write(file.path(), input).map_err(|error| error.to_string())?;
    match config::apply(command(), file.path()) {
        // What was taken is what the flags take.
        Ok(command) => match command.try_get_matches_from(["icefarm", "worker"]) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("a setting was taken and is refused later: {error}")),
        },
        Err(error) => told(&error.to_string(), input),
    }
}

/// Who reads a file of one's own may see a line of it, however long.
fn told(text: &str, input: &[u8]) -> Checked {
    if text.len() > 4096 + 2 * input.len() {
        return Err(format!("{} bytes are said of {}", text.len(), input.len()));
    }
    clear(&text[..text.floor_char_boundary(1000)])
}

pub(super) fn fault_files() -> Vec<Vec<u8>> {
    all("examples/faults", "toml")
}

pub(super) fn faults(input: &[u8]) -> Checked {
    let Ok(text) = str::from_utf8(input) else { return Ok(()) };
    match FaultFile::parse(Path::new("faults.toml"), text) {
        Ok(_) => Ok(()),
        Err(error) => told(&error.to_string(), input),
    }
}
