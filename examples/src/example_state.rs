//! The example of the communication protocol: a state that gets a message when it is reserved, and
//! data by a command.

use icefarm_core::{Device, State, register, reservable};
use serde_json::json;

/// Keeps the message that it was reserved with, and answers data with it.
pub struct ExampleState {
    device: Device,
    message: String,
}

#[reservable("example state", "message")]
impl ExampleState {
    fn new(device: Device, message: String) -> Self {
        Self { device, message }
    }

    /// Sends the message to the client as the event `results`, and tells how long `data` was.
    #[register("getdata", "data")]
    async fn receive_data(&mut self, data: String) -> icefarm_core::Value {
        self.device.emit("results", json!({ "data": self.message }));
        json!({ "bytes": data.len() }).into()
    }
}

impl State for ExampleState {}
