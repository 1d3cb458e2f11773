//! Programs that a check runs: with their output shown, kept, and never left behind.

use crate::Result;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long a server may take to say where it listens. It may have to be compiled first.
const START: Duration = Duration::from_secs(20 * 60);

/// Runs a program to its end, shows what it says, and returns it.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
    let errors = child.stderr.take().map(|errors| thread::spawn(move || show(errors, |_| {})));
    let mut said = String::new();
    if let Some(out) = child.stdout.take() {
        show(out, |line| {
            said.push_str(line);
            said.push('\n');
        });
    }
    if let Some(errors) = errors {
        errors.join().map_err(|_| "the reader of a program's errors panicked")?;
    }
    let status = child.wait()?;
    if status.success() { Ok(said) } else { Err(format!("{status}: {command:?}").into()) }
}

/// Shows each line on stdout and hands it on.
fn show(from: impl Read, mut each: impl FnMut(&str)) {
    // A program whose output ends in an error has ended.
    for line in BufReader::new(from).lines().map_while(std::io::Result::ok) {
        println!("{line}");
        each(&line);
    }
}

/// A server of the farm, which ends with this value.
pub(crate) struct Server {
    child: Child,
    /// Where it listens, `http://HOST:PORT`.
    pub(crate) url: String,
}

impl Server {
    /// Starts it, and waits until it has said where it listens.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let child = child.map_err(|error| format!("{command:?}: {error}"))?;
        let mut server = Self { child, url: String::new() };
        let (told, tells) = mpsc::channel();
        if let Some(out) = server.child.stdout.take() {
            thread::spawn(move || {
                show(out, |line| {
                    if let Some(url) = line.strip_prefix("listening on ") {
                        // Only the first one is waited for.
                        let _ = told.send(url.to_owned());
                    }
                });
            });
        }
        let silent = |_| format!("it ended, or did not say where it listens: {command:?}");
        server.url = tells.recv_timeout(START).map_err(silent)?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended by itself cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
