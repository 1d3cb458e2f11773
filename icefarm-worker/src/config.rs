//! What an operator may tune. Every wait and every queue of a worker is bounded by one of these.

use icefarm_core::ImageName;
use std::time::Duration;

/// Deadlines and bounds of a worker.
///
/// ```
/// use icefarm_worker::WorkerConfig;
/// use std::time::Duration;
///
/// let mut config = WorkerConfig::default();
/// config.lease.hook = Duration::from_secs(60);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkerConfig {
    /// What boards are given to do their part, and how they are recovered.
    pub board: BoardConfig,
    /// What states are given to do their part.
    pub lease: LeaseConfig,
    /// How the worker keeps in touch with control.
    pub link: LinkConfig,
    /// How many bytes of memory everything may take that clients have sent and that is not done
    /// with, files of circuits above all: 512 MiB. Whoever sends more is answered `overloaded`,
    /// and those who hold no board here get a quarter of it at most.
    pub memory: usize,
    /// Host names under which the worker may be reached, beside addresses and `localhost`.
    pub allowed_hosts: Vec<String>,
    /// How long a worker that is stopping waits for its leases to end, before it ends them: 60 s.
    pub drain: Duration,
    /// What stopping all states may take before the worker ends without waiting for them: 20 s. A
    /// worker that drains gives its boards as long to be back at their default firmware.
    pub shutdown: Duration,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            board: BoardConfig::default(),
            lease: LeaseConfig::default(),
            link: LinkConfig::default(),
            memory: 512 << 20,
            allowed_hosts: Vec::new(),
            drain: Duration::from_secs(60),
            shutdown: Duration::from_secs(20),
        }
    }
}

/// What boards are given to do their part, and how they are recovered.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BoardConfig {
    /// The image that every board runs while nobody has reserved it: `default`.
    pub default_image: ImageName,
    /// What the default firmware prints, again and again: `default firmware`.
    pub default_line: String,
    /// A running firmware is asked for its bootloader, and the bootloader is there: 10 s. A
    /// pico2-ice takes well under one second.
    pub bootloader: Duration,
    /// An image is written: 60 s. A full flash of 4 MiB takes about half of it.
    pub write: Duration,
    /// A firmware that was started shows up on the bus: 10 s.
    pub arrival: Duration,
    /// A serial port opens: 5 s.
    pub open: Duration,
    /// The default firmware prints its line: 5 s.
    pub line: Duration,
    /// A board that left the bus during a lease comes back: 10 s. Then the lease fails.
    pub grace: Duration,
    /// How often the whole recovery ladder is climbed before a board counts as broken: 3.
    pub recovery_rounds: u32,
    /// The pause before the second round: 5 s. It doubles for each one after that.
    pub recovery_pause: Duration,
}

impl Default for BoardConfig {
    fn default() -> Self {
        Self {
            default_image: ImageName::new("default").expect("`default` is a valid name"),
            default_line: "default firmware".to_owned(),
            bootloader: Duration::from_secs(10),
            write: Duration::from_secs(60),
            arrival: Duration::from_secs(10),
            open: Duration::from_secs(5),
            line: Duration::from_secs(5),
            grace: Duration::from_secs(10),
            recovery_rounds: 3,
            recovery_pause: Duration::from_secs(5),
        }
    }
}

/// What states are given to do their part.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LeaseConfig {
    /// `start`, which may flash: 120 s.
    pub start: Duration,
    /// `reboot`, which may flash: 120 s.
    pub reboot: Duration,
    /// A command, and every other hook: 30 s.
    pub hook: Duration,
    /// `exit`: 10 s. Afterwards the board is taken back without the state's help.
    pub exit: Duration,
    /// How long a state may keep its thread without ever letting go of it: 30 s.
    pub stall: Duration,
    /// How many states that do not let go of their threads are left to themselves, cut off from
    /// their boards and clients, so that their boards go on: 8. A thread cannot be ended from
    /// outside; beyond this many, a board counts as broken until its state lets go.
    pub abandoned: usize,
    /// How long a lease outlives its end while control is silent: 10 minutes.
    pub linger: Duration,
    /// How many commands may wait at one board: 256. One more is answered `overloaded`.
    pub commands: usize,
    /// How many bytes these commands may take in memory: 128 MiB. One more is answered
    /// `overloaded`, unless it is the only one.
    pub command_bytes: usize,
}

impl Default for LeaseConfig {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(120),
            reboot: Duration::from_secs(120),
            hook: Duration::from_secs(30),
            exit: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            abandoned: 8,
            linger: Duration::from_secs(600),
            commands: 256,
            command_bytes: 128 << 20,
        }
    }
}

/// How the worker keeps in touch with control.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LinkConfig {
    /// One request to control: 10 s.
    pub request: Duration,
    /// The first pause after a request that failed: 0.5 s. It doubles with each failure.
    pub retry: Duration,
    /// The longest of these pauses: 15 s.
    pub retry_at_most: Duration,
    /// The pause after control refused the worker, which somebody has to see to: 60 s.
    pub refused: Duration,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(10),
            retry: Duration::from_millis(500),
            retry_at_most: Duration::from_secs(15),
            refused: Duration::from_secs(60),
        }
    }
}
