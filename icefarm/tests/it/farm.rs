//! Processes of a farm, on ports that the system chooses, ended with the test.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a test waits for something that must happen. It is long because a test machine may be
/// busy; nothing is measured by it.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// `icefarm` with nothing of the caller's environment that could change what it does.
pub fn icefarm(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_icefarm"));
    command.args(args);
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("ICEFARM_") {
            command.env_remove(key);
        }
    }
    command.env("ICEFARM_LOG", "warn");
    command
}

/// A server process. Dropping it kills it.
pub struct Server {
    child: Child,
    pub url: String,
}

impl Server {
    /// Starts a server and waits for the line that says where it listens.
    pub fn start(args: &[&str]) -> Self {
        let mut child = icefarm(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("`icefarm {}` said {line:?}", args.join(" ")))
            .trim()
            .to_owned();
        Self { child, url }
    }

    /// The address without `http://`.
    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Kills the process as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the process to end and waits until it has.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        self.signal();
        self.child.wait().unwrap()
    }

    /// Asks the process to end.
    pub fn signal(&self) {
        let status = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Waits until the process has ended, which it must.
    pub fn ended(&mut self) -> std::process::ExitStatus {
        wait_for("the end of a server", || self.child.try_wait().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Control and one worker with virtual boards, as two processes.
pub struct Farm {
    pub control: Server,
    _worker: Server,
    _folder: tempfile::TempDir,
}

impl Farm {
    pub fn start(boards: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("farm.sqlite").display().to_string();
        let control = Server::start(&["control", "--listen", "127.0.0.1:0", "--db", &db]);
        let worker = worker(&control.url, boards);
        let farm = Self { control, _worker: worker, _folder: folder };
        farm.wait_for_boards(boards as usize);
        farm
    }

    pub fn wait_for_boards(&self, boards: usize) {
        wait_for(&format!("{boards} boards"), || {
            let output = run(&["devices", "--available", "--control", &self.control.url]);
            (stdout(&output).lines().count() == boards).then_some(())
        });
    }
}

/// A worker whose boards run fifty times faster than real ones.
pub fn worker(control: &str, boards: u32) -> Server {
    let boards = boards.to_string();
    Server::start(&[
        "worker",
        "--listen",
        "127.0.0.1:0",
        "--control",
        control,
        "--name",
        "bench",
        "--sim",
        &boards,
        "--sim-speed",
        "50",
    ])
}

/// Runs a command to its end.
pub fn run(args: &[&str]) -> Output {
    icefarm(args).output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Asks until there is an answer.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        // Every question is a process of its own: this is a pause between two of them, not a
        // guess at how long something takes.
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A circuit that the repository brings.
pub fn circuit(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/circuits").join(name);
    assert!(path.exists(), "{} is missing", path.display());
    path.display().to_string()
}
