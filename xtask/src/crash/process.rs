//! Processes that may be killed at any time, and are never left behind.

use crate::Result;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to say where it listens.
const START: Duration = Duration::from_secs(60);

/// The program with these arguments, with nothing of the caller's environment that could change
/// what it does.
pub(super) fn icefarm(binary: &Path, args: &[&str]) -> Command {
    // It ends with us, even if we are killed ourselves. Where there is no such program we rely on
    // being ended in an orderly way.
    let setpriv = Path::new("/usr/bin/setpriv");
    let mut command = if setpriv.is_file() {
        let mut command = Command::new(setpriv);
        command.args(["--pdeathsig", "KILL", "--"]).arg(binary);
        command
    } else {
        Command::new(binary)
    };
    command.args(args).stdin(Stdio::null());
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("ICEFARM_") {
            command.env_remove(key);
        }
    }
    command
}

/// A file that a process adds to what was there.
pub(super) fn log(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.map_err(|error| format!("{}: {error}", path.display()).into())
}

/// A process whose lines are read. Dropping it kills it.
pub(super) struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    /// Starts it; what it complains of goes to the log.
    pub(super) fn start(command: &mut Command, log_file: &Path) -> Result<Self> {
        command.stdout(Stdio::piped()).stderr(log(log_file)?);
        let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let (told, lines) = mpsc::channel();
        if let Some(out) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(std::io::Result::ok) {
                    // Nobody may be left to listen.
                    let _ = told.send(line);
                }
            });
        }
        Ok(Self { child, lines })
    }

    /// The next line, if it comes before then. `Err` when there are no more.
    pub(super) fn line(&self, until: Instant) -> Result<Option<String>, Ended> {
        match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Ended),
        }
    }

    /// Ends it as a power cut would.
    pub(super) fn kill(&mut self) -> Result {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// How it ended, once it has, unless that takes too long.
    pub(super) fn ended(&mut self, until: Instant) -> Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A process has said its last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended;

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended by itself cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that is started again where it was.
pub(super) struct Server {
    make: Box<dyn Fn(&str) -> Command>,
    log: std::path::PathBuf,
    process: Process,
    /// `http://HOST:PORT`.
    pub(super) url: String,
}

impl Server {
    /// Starts it on a port that the system chooses. `make` is given the address to listen on.
    pub(super) fn start(
        make: impl Fn(&str) -> Command + 'static,
        log: std::path::PathBuf,
    ) -> Result<Self> {
        let (process, url) = listening(&mut make("127.0.0.1:0"), &log)?;
        Ok(Self { make: Box::new(make), log, process, url })
    }

    pub(super) fn kill(&mut self) -> Result {
        self.process.kill()
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.ended(Instant::now())
    }

    /// Starts it again on its port.
    pub(super) fn restart(&mut self) -> Result {
        let address = self.url.trim_start_matches("http://").to_owned();
        let (process, url) = listening(&mut (self.make)(&address), &self.log)?;
        self.process = process;
        if url != self.url {
            return Err(format!("a server came back on {url} instead of {}", self.url).into());
        }
        Ok(())
    }
}

fn listening(command: &mut Command, log: &Path) -> Result<(Process, String)> {
    let process = Process::start(command, log)?;
    let until = Instant::now() + START;
    while let Ok(Some(line)) = process.line(until) {
        if let Some(url) = line.strip_prefix("listening on ") {
            let url = url.to_owned();
            return Ok((process, url));
        }
    }
    Err(format!("a server did not say where it listens: {command:?}").into())
}
