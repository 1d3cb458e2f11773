//! What is fed.

mod files;
mod messages;
mod servers;
mod words;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// A parser, and what must hold of it.
#[derive(Debug)]
pub struct Target {
    /// One word.
    pub name: &'static str,
    /// What it reads.
    pub what: &'static str,
    /// Inputs that it takes. Called once.
    pub samples: fn() -> Vec<Vec<u8>>,
    /// Gives it an input; an error says what does not hold.
    pub check: fn(&[u8]) -> Result<(), String>,
    /// How many bytes it may allocate for any input, and how many more for each byte of it.
    pub memory: (usize, usize),
    /// How many times more than others an input costs.
    pub weight: u32,
}

static SAMPLES: Mutex<BTreeMap<&'static str, &'static [Vec<u8>]>> = Mutex::new(BTreeMap::new());

impl Target {
    /// Inputs that it takes.
    pub fn samples(&self) -> &'static [Vec<u8>] {
        let mut known = SAMPLES.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(self.name).or_insert_with(|| (self.samples)().leak())
    }

    /// How many bytes it may allocate for an input of this length.
    #[must_use]
    pub fn limit(&self, length: usize) -> usize {
        let (any, each) = self.memory;
        any.saturating_add(length.saturating_mul(each))
    }
}

/// All targets.
pub static TARGETS: &[Target] = &[
    Target {
        name: "json",
        what: "messages of websockets, as text",
        samples: messages::json_samples,
        check: messages::json,
        memory: (1 << 20, 2000),
        weight: 1,
    },
    Target {
        name: "msgpack",
        what: "messages of websockets, as MessagePack with zstd",
        samples: messages::msgpack_samples,
        check: messages::msgpack,
        memory: (8 << 20, 2000),
        weight: 1,
    },
    Target {
        name: "wire",
        what: "registrations, reports and answers",
        samples: messages::json_samples,
        check: messages::wire,
        memory: (1 << 20, 20_000),
        weight: 1,
    },
    Target {
        name: "arguments",
        what: "the arguments of control's paths",
        samples: messages::json_samples,
        check: messages::arguments,
        memory: (1 << 20, 5000),
        weight: 1,
    },
    Target {
        name: "names",
        what: "names, serials, times, addresses, fault-free or not",
        samples: words::samples,
        check: words::names,
        memory: (64 << 10, 500),
        weight: 1,
    },
    Target {
        name: "query",
        what: "the query of a websocket, with the position of its events",
        samples: words::query_samples,
        check: words::query,
        memory: (64 << 10, 500),
        weight: 1,
    },
    Target {
        name: "bitstream",
        what: "bitstreams of the iCE40UP5K, and what they simulate as",
        samples: files::bitstreams,
        check: files::bitstream,
        memory: (256 << 20, 100),
        weight: 20,
    },
    Target {
        name: "chip",
        what: "the condensed chip database",
        samples: files::chips,
        check: files::chip,
        memory: (256 << 20, 100),
        weight: 40,
    },
    Target {
        name: "config",
        what: "configuration files",
        samples: files::configs,
        check: files::config,
        memory: (4 << 20, 2000),
        weight: 2,
    },
    Target {
        name: "faults",
        what: "files of faults of virtual boards",
        samples: files::fault_files,
        check: files::faults,
        memory: (1 << 20, 2000),
        weight: 1,
    },
    Target {
        name: "control",
        what: "requests to a control server",
        samples: servers::control_samples,
        check: servers::control,
        memory: (64 << 20, 5000),
        weight: 4,
    },
    Target {
        name: "worker",
        what: "requests to a worker, in control's name",
        samples: servers::worker_samples,
        check: servers::worker,
        memory: (64 << 20, 5000),
        weight: 4,
    },
];
