//! The arrows between the crates, as ARCHITECTURE.md draws them. Each package is resolved alone:
//! in the unified workspace a forbidden dependency could hide behind somebody else's feature.

#![allow(missing_docs, reason = "a test has no reader outside this file")]

use std::collections::BTreeSet;
use std::process::Command;

/// All packages that `package` builds with, normal dependencies only.
fn builds_with(package: &str, features: &[&str]) -> BTreeSet<String> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command.args(["tree", "--package", package, "--edges", "normal", "--prefix", "none"]);
    command.args(["--format", "{p}", "--no-default-features"]);
    if !features.is_empty() {
        command.args(["--features", &features.join(",")]);
    }
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .expect("cargo prints UTF-8")
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| *name != package)
        .map(str::to_owned)
        .collect()
}

/// Those of our own packages that `package` builds with.
fn ours(package: &str, features: &[&str]) -> Vec<String> {
    builds_with(package, features)
        .into_iter()
        .filter(|name| name == "icefarm" || name.starts_with("icefarm-"))
        .collect()
}

fn check(package: &str, features: &[&str], expected: &[&str]) {
    assert_eq!(ours(package, features), expected, "{package} with features {features:?}");
}

#[test]
fn the_layers_depend_as_drawn() {
    check("icefarm-macros", &[], &[]);
    check("icefarm-core", &[], &["icefarm-macros"]);
    check("icefarm-net", &[], &["icefarm-core", "icefarm-macros"]);
    check("icefarm-sim", &[], &["icefarm-core", "icefarm-macros"]);
    for layer in ["icefarm-control", "icefarm-worker", "icefarm-client"] {
        check(layer, &[], &["icefarm-core", "icefarm-macros", "icefarm-net"]);
    }
}

#[test]
fn a_state_needs_core_and_what_states_share() {
    let kit = "icefarm-state-kit";
    check(kit, &[], &["icefarm-core", "icefarm-macros"]);
    for state in ["icefarm-state-pulse-count", "icefarm-state-variance"] {
        check(state, &[], &["icefarm-core", "icefarm-macros", kit]);
        check(state, &["sim"], &["icefarm-core", "icefarm-macros", "icefarm-sim", kit]);
        let client = ["icefarm-client", "icefarm-core", "icefarm-macros", "icefarm-net", kit];
        check(state, &["client"], &client);
    }
}

#[test]
fn the_test_kit_is_a_worker_with_a_virtual_board() {
    let expected =
        ["icefarm-core", "icefarm-macros", "icefarm-net", "icefarm-sim", "icefarm-worker"];
    check("icefarm-testkit", &[], &expected);
}

#[test]
fn a_custom_worker_pulls_in_no_control_server() {
    let with_worker = builds_with("icefarm", &["worker"]);
    assert!(with_worker.contains("icefarm-worker"));
    for unwanted in ["icefarm-control", "icefarm-client", "rusqlite"] {
        assert!(!with_worker.contains(unwanted), "the worker alone builds {unwanted}");
    }
}

#[test]
fn core_keeps_away_from_the_world() {
    let core = builds_with("icefarm-core", &[]);
    for unwanted in ["warp", "hyper", "tokio-tungstenite", "rusb", "rusqlite", "mio", "socket2"] {
        assert!(!core.contains(unwanted), "icefarm-core builds {unwanted}");
    }
}

#[test]
fn only_the_program_reads_its_command_line() {
    let packages = ["icefarm-net", "icefarm-control", "icefarm-worker", "icefarm-client"];
    for package in packages.into_iter().chain(["icefarm-core", "icefarm-sim"]) {
        let built = builds_with(package, &[]);
        for unwanted in ["clap", "toml", "indicatif"] {
            assert!(!built.contains(unwanted), "{package} builds {unwanted}");
        }
    }
}
