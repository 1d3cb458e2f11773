//! A plug-in as a strict author writes it: what the attributes expand to must cause no warning.
#![deny(warnings, missing_docs, unreachable_pub, missing_debug_implementations)]
#![deny(unused_qualifications, unused_lifetimes, single_use_lifetimes, clippy::all)]
#![deny(clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![expect(clippy::needless_pass_by_value, reason = "arguments are decoded and must be owned")]

use icefarm_core::{Blob, Device, Json, Object, Serial, State, StateError, Value};
use icefarm_core::{register, reservable};
use serde::{Deserialize, Serialize};

/// A range of seconds.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Window {
    from: u32,
    to: u32,
}

/// What a board measured.
#[derive(Debug, Serialize)]
pub(crate) struct Reading {
    pulses: u32,
}

type Label = Option<String>;

/// The state of the protocol's description, with all forms of arguments and replies.
#[derive(Debug)]
pub(crate) struct Greeter {
    device: Device,
    message: String,
    label: Label,
}

#[reservable("greeter", "message", "label")]
impl Greeter {
    fn new(device: Device, message: String, label: Label) -> Result<Self, StateError> {
        if message.is_empty() {
            return Err("the message is empty".into());
        }
        Ok(Self { device, message, label })
    }

    /// Sends it back.
    #[register("getdata", "data")]
    async fn receive_data(&mut self, data: String) {
        std::future::ready(()).await;
        let contents = Value::from_iter([("data", vec![self.message.clone(), data])]);
        self.device.emit("results", contents);
    }

    #[register("window", "window", "value 1")]
    fn window(&self, Window { from, to }: Window, scale: Option<f64>) -> Result<f64, String> {
        let ticks = to.checked_sub(from).ok_or_else(|| format!("{} is no window", self.message))?;
        Ok(f64::from(ticks) * scale.unwrap_or(1.0))
    }

    #[register("reverse", "file")]
    #[register("turn", "file")]
    fn reverse(&mut self, file: Blob) -> Blob {
        self.label = None;
        file.iter().rev().copied().collect::<Vec<_>>().into()
    }

    #[register("read")]
    async fn read(&mut self) -> Result<Json<Reading>, std::num::ParseIntError> {
        std::future::ready(()).await;
        Ok(Json(Reading { pulses: self.message.parse()? }))
    }

    #[register("label")]
    fn label(&mut self) -> Value {
        let label = self.label.clone();
        self.unregistered();
        label.into()
    }

    #[cfg(target_os = "none")]
    #[register("absent")]
    fn absent(&mut self) -> Nothing {}

    fn unregistered(&mut self) {
        self.label = None;
    }
}

impl State for Greeter {}

/// A client's handler.
#[derive(Debug, Default)]
pub(crate) struct Printer {
    pub(crate) printed: Vec<String>,
}

#[register]
impl Printer {
    #[register("results", "data", "serial")]
    fn print_results(&mut self, data: Vec<String>, serial: Serial) {
        self.printed.push(format!("{serial}: {}", data.join(" ")));
    }

    #[register("failure", "reason")]
    async fn fail(&mut self, reason: String) -> Result<(), String> {
        std::future::ready(()).await;
        Err(reason)
    }
}

/// No arguments at all, under a name that a renamed dependency has.
#[derive(Debug)]
pub(crate) struct Idle;

use icefarm_core as renamed;

#[reservable("idle", crate = renamed)]
impl Idle {
    fn new(_: Device) -> Self {
        Self
    }
}

impl State for Idle {}

/// A handler of anything.
#[derive(Debug, Default)]
pub(crate) struct Anything(pub(crate) Object);

#[register(crate = renamed)]
impl Anything {
    #[register("anything", "value")]
    fn any(&mut self, value: Value) {
        self.0.insert("value".into(), value);
    }
}

/// Only elsewhere; the attribute stands before the condition.
#[cfg(target_os = "none")]
struct Elsewhere;

#[register]
#[cfg(target_os = "none")]
impl Elsewhere {
    #[register("absent")]
    fn absent(&mut self) {}
}
