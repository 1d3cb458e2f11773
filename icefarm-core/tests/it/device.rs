//! A device without a board: it only notes what a state emits.

use futures::future::{self, BoxFuture};
use icefarm_core::{
    BoardError, ClientName, Device, DeviceHost, DeviceInfo, ImageInfo, ImageName, Kind, LeaseId,
    Message, NextState, Object, Residue, Serial, SerialPort, Timestamp, Value, WorkerName,
};
use serde_json::json;
use std::sync::{Arc, Mutex};

pub(crate) struct Noting {
    info: DeviceInfo,
    emitted: Mutex<Vec<(String, Object)>>,
    failed: Mutex<Vec<String>>,
}

impl Noting {
    pub(crate) fn emitted(&self) -> Vec<(String, Object)> {
        self.emitted.lock().unwrap().clone()
    }

    pub(crate) fn failed(&self) -> Vec<String> {
        self.failed.lock().unwrap().clone()
    }
}

pub(crate) fn noting() -> (Arc<Noting>, Device) {
    let info = DeviceInfo {
        serial: Serial::new("S1").unwrap(),
        name: None,
        simulated: true,
        worker: WorkerName::new("worker").unwrap(),
        client: ClientName::new("client").unwrap(),
        lease: LeaseId(1),
        kind: Kind::new("greeter").unwrap(),
    };
    let host = Arc::new(Noting { info, emitted: Mutex::default(), failed: Mutex::default() });
    (host.clone(), Device::new(host))
}

pub(crate) fn device() -> Device {
    noting().1
}

impl DeviceHost for Noting {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn emit(&self, event: &str, contents: Object) {
        self.emitted.lock().unwrap().push((event.to_owned(), contents));
    }

    fn now(&self) -> Timestamp {
        unreachable!("no state of these tests asks for it")
    }

    fn flash(&self, _image: ImageName) -> BoxFuture<'static, Result<ImageInfo, BoardError>> {
        Box::pin(future::ready(Err(BoardError::Gone)))
    }

    fn restart(&self) -> BoxFuture<'static, Result<(), BoardError>> {
        Box::pin(future::ready(Err(BoardError::Gone)))
    }

    fn open(&self) -> BoxFuture<'static, Result<SerialPort, BoardError>> {
        Box::pin(future::ready(Err(BoardError::Gone)))
    }

    fn load_circuit(&self, _sha256: &str) -> Residue {
        unreachable!("no state of these tests asks for it")
    }

    fn spawn(&self, _task: BoxFuture<'static, ()>) {}

    fn post(&self, _message: Message) {}

    fn switch(&self, _next: NextState) {}

    fn fail(&self, reason: String) {
        self.failed.lock().unwrap().push(reason);
    }
}

#[test]
fn words_of_the_protocol_are_not_emitted_and_fail_the_lease() {
    let (host, device) = noting();
    device.emit("results", 1);
    device.emit("greeting", Value::from(json!({"lease": 1, "error": "none"})));
    assert_eq!(host.emitted().len(), 2);
    assert_eq!(host.failed(), [""; 0]);

    let words = ["hello", "reply", "error", "ack", "resync", "dropped", "initialized", "failure"];
    let farm = ["unreachable", "reservation end", "reservation ending soon", "devices_available"];
    for word in words.into_iter().chain(farm) {
        device.emit(word, ());
        let reason = host.failed().pop().unwrap_or_default();
        assert!(reason.contains(&format!("an event `{word}`")), "{word}: {reason}");
        host.failed.lock().unwrap().clear();
    }
    for key in ["event", "serial", "seq", "epoch", "id"] {
        device.emit("results", Value::Object([(key.to_owned(), Value::from(1))].into()));
        let reason = host.failed().pop().unwrap_or_default();
        assert!(reason.contains(&format!("`results` of the state has a key `{key}`")), "{reason}");
        host.failed.lock().unwrap().clear();
    }
    device.emit("", ());
    assert_eq!(host.failed().len(), 1);
    assert_eq!(host.emitted().len(), 2, "nothing of it is sent");
}
