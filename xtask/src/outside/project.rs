//! A project of strangers: state, firmware model, worker and client, built from the packages and
//! run as a farm.

use super::contents::Unpacked;
use super::process::{Server, run};
use super::{repository, target};
use crate::Result;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The projects of `examples` that become its crates.
const CRATES: [&str; 3] = ["custom-state", "custom-worker", "event-handler"];

/// A whole farm's program with a state of one's own, beside the worker alone.
const FARM: &str = r#"[package]
name = "custom-farm"
version = "0.1.0"
edition = "2024"
publish = false

[dependencies]
custom-state = { path = "../custom-state" }
icefarm = "0.1.0"
"#;

const FARM_MAIN: &str = "use custom_state as _;

fn main() -> std::process::ExitCode {
    icefarm::main()
}
";

pub(super) fn build_and_run(folder: &Path, packages: &[Unpacked]) -> Result {
    lay_out(folder, packages)?;
    println!("\n$ cargo test    # in {}", folder.display());
    run(&mut cargo(folder, &["test", "--workspace"]))?;
    println!("\n$ cargo build");
    run(&mut cargo(folder, &["build", "--workspace"]))?;

    println!("\n$ custom-farm control &");
    let mut control = program(folder, "custom-farm");
    control.args(["control", "--listen", "127.0.0.1:0"]);
    let control = Server::start(&mut control)?;
    println!("\n$ custom-worker --sim 2 --control {} &", control.url);
    let mut worker = program(folder, "custom-worker");
    worker.args(["--sim", "2", "--listen", "127.0.0.1:0", "--control", &control.url]);
    let _worker = Server::start(&mut worker)?;

    println!("\n$ event-handler {}", control.url);
    let said = run(program(folder, "event-handler").arg(&control.url))?;
    if !said.lines().any(|line| line.starts_with("SIM") && line.ends_with(": hello!")) {
        return Err("the client did not print what the firmware answered".into());
    }

    let body = r#"{"amount": 1, "name": "me", "kind": "example state", "args": {"mesage": "hi"}}"#;
    println!("\nPOST {}/reserve {body}", control.url);
    let answer = post(&control.url, "/reserve", body)?;
    println!("{answer}");
    let named = "argument `mesage` is not known; known arguments: message";
    if !answer.starts_with("HTTP/1.1 400") || !answer.contains(named) {
        return Err("a misspelt argument was not answered with an error that names it".into());
    }
    println!("\nA project outside of the repository was built from the packages, and works.");
    Ok(())
}

/// Writes the project. It depends on the packages as if they came from the registry.
fn lay_out(folder: &Path, packages: &[Unpacked]) -> Result {
    for name in CRATES {
        copy(&repository().join("examples").join(name), &folder.join(name))?;
        let manifest = folder.join(name).join("Cargo.toml");
        fs::write(&manifest, without_paths(&fs::read_to_string(&manifest)?))?;
    }
    fs::create_dir_all(folder.join("custom-farm/src"))?;
    fs::write(folder.join("custom-farm/Cargo.toml"), FARM)?;
    fs::write(folder.join("custom-farm/src/main.rs"), FARM_MAIN)?;

    // As in our own workspace, so that what was compiled there of others' crates is used again.
    let mut workspace =
        "[workspace]\nresolver = \"3\"\nmembers = [\"custom-*\", \"event-handler\"]\n\n\
                         [profile.dev]\ndebug = \"line-tables-only\"\n\n[patch.crates-io]\n"
            .to_owned();
    for Unpacked { name, path } in packages {
        workspace.push_str(&format!("{name} = {{ path = '{}' }}\n", path.display()));
    }
    fs::write(folder.join("Cargo.toml"), workspace)?;
    fs::copy(repository().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok(())
}

/// A manifest whose dependencies on us say only the version.
fn without_paths(manifest: &str) -> String {
    let mut kept = String::new();
    for line in manifest.lines() {
        match line.split_once(", path = \"../../") {
            Some((before, after)) => {
                kept.push_str(before);
                kept.push_str(after.split_once('"').map_or("", |(_, after)| after));
            }
            None => kept.push_str(line),
        }
        kept.push('\n');
    }
    kept
}

fn copy(from: &Path, to: &Path) -> Result {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

fn cargo(folder: &Path, args: &[&str]) -> Command {
    let mut cargo = crate::suite::cargo(args);
    cargo.current_dir(folder).env("CARGO_TARGET_DIR", target());
    cargo
}

fn program(folder: &Path, name: &str) -> Command {
    let mut program = Command::new(target().join("debug").join(name));
    // The control server writes its database there.
    program.current_dir(folder);
    program
}

/// A request as any program could send it.
fn post(url: &str, path: &str, body: &str) -> Result<String> {
    let address = url.strip_prefix("http://").ok_or("control's address is none")?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
mod tests {
    use super::*;

    #[test]
    fn dependencies_on_us_come_from_the_registry() {
        let manifest = "icefarm = { version = \"0.1.0\", path = \"../../icefarm\", features = [\"worker\"] }\n\
                        custom-state = { path = \"../custom-state\" }\n";
        let expected = "icefarm = { version = \"0.1.0\", features = [\"worker\"] }\n\
                        custom-state = { path = \"../custom-state\" }\n";
        assert_eq!(without_paths(manifest), expected);
    }

    #[test]
    fn the_examples_can_leave_the_repository() {
        for name in CRATES {
            let manifest = repository().join("examples").join(name).join("Cargo.toml");
            let manifest = without_paths(&fs::read_to_string(manifest).unwrap());
            assert!(
                !manifest.contains("workspace = true") && !manifest.contains("../../"),
                "{manifest}"
            );
        }
    }
}
