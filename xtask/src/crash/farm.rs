//! The farm of a round: control and two workers, as processes of their own.

use super::plan::Target;
use super::process::{Server, icefarm};
use crate::Result;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// How many boards there are in all.
pub(super) const BOARDS: usize = 4;
/// Virtual boards of this speed take long enough over 200 circuits for three blows, and no longer.
const SPEED: &str = "20";
/// Pause between two questions to the farm; each is a process of its own.
const PAUSE: Duration = Duration::from_millis(250);

pub(super) struct Farm {
    binary: PathBuf,
    control: Server,
    workers: Vec<Server>,
    folder: PathBuf,
}

impl Farm {
    /// Starts a farm whose logs and database are in `folder`, and waits for its boards.
    pub(super) fn start(binary: &Path, folder: &Path) -> Result<Self> {
        let (program, db) = (binary.to_owned(), folder.join("farm.sqlite").display().to_string());
        let control = Server::start(
            move |listen| icefarm(&program, &["control", "--listen", listen, "--db", &db]),
            folder.join("control.log"),
        )?;
        let worker = |name: &'static str| {
            let (program, control) = (binary.to_owned(), control.url.clone());
            let make = move |listen: &str| {
                let boards = (BOARDS / 2).to_string();
                let args = [
                    "worker",
                    "--listen",
                    listen,
                    "--control",
                    &control,
                    "--name",
                    name,
                    "--sim",
                    &boards,
                    "--sim-speed",
                    SPEED,
                ];
                icefarm(&program, &args)
            };
            Server::start(make, folder.join(format!("{name}.log")))
        };
        let workers = vec![worker("worker-1")?, worker("worker-2")?];
        let (binary, folder) = (binary.to_owned(), folder.to_owned());
        let farm = Self { binary, control, workers, folder };
        let until = Instant::now() + Duration::from_secs(60);
        if !farm.wait_for_boards(BOARDS, until)? {
            return Err("the boards of a new farm did not become available in a minute".into());
        }
        Ok(farm)
    }

    /// A command of a client of this farm.
    pub(super) fn client(&self, args: &[&str]) -> Command {
        let mut command = icefarm(&self.binary, args);
        command.args(["--control", &self.control.url]);
        command
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn kill(&mut self, target: Target) -> Result {
        for server in self.hit(target) {
            server.kill()?;
        }
        Ok(())
    }

    pub(super) fn restart(&mut self, target: Target) -> Result {
        for server in self.hit(target) {
            server.restart()?;
        }
        Ok(())
    }

    fn hit(&mut self, target: Target) -> Vec<&mut Server> {
        let (control, worker) = match target {
            Target::Control => (true, None),
            Target::Worker(place) => (false, Some(place)),
            Target::Both(place) => (true, Some(place)),
        };
        let control = control.then_some(&mut self.control);
        let worker = worker.and_then(|place| self.workers.get_mut(place));
        control.into_iter().chain(worker).collect()
    }

    /// Says which servers have ended although nobody here has killed them.
    pub(super) fn missing(&mut self) -> Result<Option<String>> {
        let servers = std::iter::once(&mut self.control).chain(&mut self.workers);
        for (server, name) in servers.zip(["control", "worker 1", "worker 2"]) {
            if let Some(status) = server.ended()? {
                return Ok(Some(format!("{name} has ended, and not by our hand: {status}")));
            }
        }
        Ok(None)
    }

    /// How many boards others could reserve now.
    pub(super) fn available(&self) -> Result<usize> {
        let output = self.client(&["devices", "--available"]).output()?;
        let listed = String::from_utf8(output.stdout)?;
        // A control server that does not answer offers nothing.
        Ok(if output.status.success() { listed.lines().count() } else { 0 })
    }

    /// Asks until there are so many, or the time is over.
    pub(super) fn wait_for_boards(&self, wanted: usize, until: Instant) -> Result<bool> {
        loop {
            if self.available()? >= wanted {
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
            thread::sleep(PAUSE);
        }
    }
}
