//! A device without a board: it only notes what a state emits.

use futures::future::{self, BoxFuture};
use icefarm_core::{
    BoardError, ClientName, Device, DeviceHost, DeviceInfo, ImageInfo, ImageName, Kind, LeaseId,
    Message, NextState, Object, Residue, Serial, SerialPort, Timestamp, WorkerName,
};
use std::sync::{Arc, Mutex};

pub(crate) struct Noting {
    info: DeviceInfo,
    emitted: Mutex<Vec<(String, Object)>>,
}

impl Noting {
    pub(crate) fn emitted(&self) -> Vec<(String, Object)> {
        self.emitted.lock().unwrap().clone()
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
    let host = Arc::new(Noting { info, emitted: Mutex::default() });
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

    fn fail(&self, _reason: String) {}
}
