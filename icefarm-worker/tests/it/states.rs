//! States that test what a worker does about them.

use icefarm_core::Value;
use icefarm_core::{Device, Face, Message, Object, Registry, SerialPort, State, StateError};
use icefarm_core::{register, reservable};
use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// As in the communication protocol.
pub(crate) struct ExampleState {
    device: Device,
    message: String,
}

#[reservable("example state", "message")]
impl ExampleState {
    fn new(device: Device, message: String) -> Result<Self, String> {
        if message == "never" {
            return Err("`message` must not be `never`".to_owned());
        }
        Ok(Self { device, message })
    }

    #[register("getdata", "data")]
    fn receive_data(&mut self, data: String) {
        let said = format!("{}{}", self.message, data.to_lowercase());
        self.device.emit("results", Object::from([("data".to_owned(), said.into())]));
    }
}

impl State for ExampleState {}

/// What states have leaked.
pub(crate) static LEAKS: Mutex<BTreeMap<String, (Device, SerialPort)>> =
    Mutex::new(BTreeMap::new());

type Gate = Arc<(Mutex<bool>, Condvar)>;

/// What states wait for that keep their threads.
pub(crate) struct Gates;

impl Gates {
    fn get(name: &str) -> Gate {
        static GATES: Mutex<BTreeMap<String, Gate>> = Mutex::new(BTreeMap::new());
        GATES.lock().unwrap().entry(name.to_owned()).or_default().clone()
    }

    fn wait(name: &str) {
        let opened = Self::get(name);
        let mut open = opened.0.lock().unwrap();
        while !*open {
            open = opened.1.wait(open).unwrap();
        }
    }

    pub(crate) fn open(name: &str) {
        let gate = Self::get(name);
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
    }
}

/// Does what the test says, good or bad.
pub(crate) struct Mischief {
    device: Device,
    hooks: Vec<String>,
    port: Option<SerialPort>,
    start: Start,
    exit_hangs: bool,
    /// What its drop waits for, on its thread.
    drop_gate: Option<String>,
}

#[derive(serde::Deserialize, Default, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Start {
    #[default]
    Well,
    Panic,
    Hang,
    Fail,
    Flash,
}

#[reservable("mischief", "start", "exit_hangs")]
impl Mischief {
    fn new(device: Device, start: Option<Start>, exit_hangs: Option<bool>) -> Self {
        let exit_hangs = exit_hangs.unwrap_or_default();
        let start = start.unwrap_or_default();
        let (hooks, port, drop_gate) = (Vec::new(), None, None);
        Self { device, hooks, port, start, exit_hangs, drop_gate }
    }

    #[register("echo", "data")]
    fn echo(&mut self, data: Value) -> Value {
        data
    }

    #[register("hooks")]
    fn hooks(&mut self) -> Value {
        self.hooks.clone().into()
    }

    #[register("panic")]
    fn panic(&mut self) {
        panic!("as asked");
    }

    #[register("hang")]
    async fn hang(&mut self) {
        pending::<()>().await;
    }

    #[register("sleep", "ms")]
    async fn sleep(&mut self, ms: u64) -> u64 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        ms
    }

    /// Keeps its thread until the test opens the gate.
    #[register("block", "gate")]
    fn block(&mut self, gate: String) {
        self.device.emit("busy", Value::Null);
        Gates::wait(&gate);
        // Much too late, if the lease is over by now.
        self.device.emit("late", Value::Null);
    }

    /// Lets go of its thread again and again, and never ends.
    #[register("spin")]
    async fn spin(&mut self) {
        self.device.emit("busy", Value::Null);
        loop {
            tokio::task::yield_now().await;
        }
    }

    /// Cannot be dropped until the test opens the gate.
    #[register("cling", "gate")]
    fn cling(&mut self, gate: String) {
        self.drop_gate = Some(gate);
    }

    #[register("fail")]
    fn fail(&mut self) {
        self.device.fail("it wants no more");
    }

    #[register("spawn", "what")]
    fn spawn(&mut self, what: String) {
        let device = self.device.clone();
        self.device.spawn(async move {
            match what.as_str() {
                "panic" => panic!("beside"),
                "post" => device.post("posted".to_owned()),
                "tick" => loop {
                    device.emit("tick", Value::Null);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                },
                other => device.fail(format!("what is {other}?")),
            }
        });
    }

    #[register("flash", "image")]
    async fn flash(&mut self, image: String) -> Result<String, icefarm_core::BoardError> {
        Ok(self.device.flash(&image).await?.name.to_string())
    }

    #[register("restart")]
    async fn restart(&mut self) -> Result<(), icefarm_core::BoardError> {
        self.device.restart().await
    }

    #[register("open")]
    async fn open(&mut self) -> Result<(), icefarm_core::BoardError> {
        self.port = Some(self.device.open().await?);
        Ok(())
    }

    #[register("say", "text")]
    async fn say(&mut self, text: String) -> Result<String, StateError> {
        let port = self.port.as_mut().ok_or("not open")?;
        port.write_all(text.as_bytes()).await?;
        let mut answer = vec![0; text.len() * 2];
        port.read_exact(&mut answer).await?;
        Ok(String::from_utf8(answer)?)
    }

    #[register("load", "sha256")]
    fn load(&mut self, sha256: String) -> Value {
        let residue = self.device.load_circuit(&sha256);
        Object::from([
            ("sequence".to_owned(), residue.sequence.into()),
            ("previous".to_owned(), residue.previous_sha256.map_or(Value::Null, Value::from)),
        ])
        .into()
    }

    /// Hands what it has to the test, as a plug-in could to a thread of its own.
    #[register("leak", "name")]
    async fn leak(&mut self, name: String) -> Result<(), icefarm_core::BoardError> {
        let port = self.device.open().await?;
        LEAKS.lock().unwrap().insert(name, (self.device.clone(), port));
        Ok(())
    }

    #[register("become", "message")]
    fn become_other(&mut self, message: String) {
        self.device.switch(move |device| ExampleState { device, message });
        self.hooks.push("asked to switch".to_owned());
    }
}

impl Drop for Mischief {
    fn drop(&mut self) {
        if let Some(gate) = &self.drop_gate {
            Gates::wait(gate);
        }
    }
}

impl State for Mischief {
    async fn start(&mut self) -> Result<(), StateError> {
        match self.start {
            Start::Well => Ok(()),
            Start::Panic => panic!("at the start"),
            Start::Hang => pending().await,
            Start::Fail => Err("no thanks".into()),
            Start::Flash => Ok(self.device.flash("app").await.map(drop)?),
        }
    }

    async fn added(&mut self, face: Face) -> Result<(), StateError> {
        self.hooks.push(format!("added {face}"));
        Ok(())
    }

    async fn removed(&mut self) -> Result<(), StateError> {
        self.hooks.push("removed".to_owned());
        Ok(())
    }

    async fn on_message(&mut self, message: Message) -> Result<(), StateError> {
        let text = message.downcast::<String>().map_err(|_| "what is this?")?;
        self.hooks.push(*text);
        Ok(())
    }

    async fn reboot(&mut self) -> Result<(), StateError> {
        self.hooks.push("reboot".to_owned());
        Ok(self.device.restart().await?)
    }

    async fn exit(&mut self) {
        self.device.emit("exiting", Value::Null);
        if self.exit_hangs {
            pending::<()>().await;
        }
    }
}

pub(crate) fn registry() -> Registry {
    Registry::builder().with::<ExampleState>().with::<Mischief>().build().unwrap()
}
