//! The example of the communication protocol as a crate of its own: a state that gets a message
//! when it is reserved, and data by a command, which it has its board's firmware work on.
//!
//! A worker takes it in with `use custom_state as _;`, see `examples/custom-worker`.

mod firmware;

use icefarm_core::{Device, Face, SerialPort, State, StateError, json, register, reservable};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// The firmware image that the board needs.
pub const IMAGE: &str = "lowercase";

/// The state of kind `example state`. Its argument `message` is printed.
pub struct ExampleState {
    device: Device,
    port: Option<BufReader<SerialPort>>,
}

#[reservable("example state", "message")]
impl ExampleState {
    fn new(device: Device, message: String) -> Self {
        println!("Message from client!: {message}");
        Self { device, port: None }
    }

    /// Sends a line to the board, and what the board makes of it to the client, as the event
    /// `results`.
    #[register("getdata", "data")]
    async fn receive_data(&mut self, data: String) -> Result<(), StateError> {
        println!("Got data from client: {data}");
        if data.contains('\n') {
            return Err("`data` must be one line".into());
        }
        let port = self.port.as_mut().ok_or("the board is not there at the moment")?;
        port.write_all(format!("{data}\n").as_bytes()).await?;
        let mut answer = String::new();
        port.read_line(&mut answer).await?;
        self.device.emit("results", json!({"data": answer.trim_end()}));
        Ok(())
    }
}

impl ExampleState {
    async fn connect(&mut self) -> Result<(), StateError> {
        self.port = Some(BufReader::new(self.device.open().await?));
        Ok(())
    }
}

impl State for ExampleState {
    async fn start(&mut self) -> Result<(), StateError> {
        self.device.flash(IMAGE).await?;
        self.connect().await
    }

    /// Somebody pulled the plug. The lease goes on if the board is back within ten seconds.
    async fn removed(&mut self) -> Result<(), StateError> {
        self.port = None;
        Ok(())
    }

    async fn added(&mut self, _face: Face) -> Result<(), StateError> {
        self.connect().await
    }

    async fn reboot(&mut self) -> Result<(), StateError> {
        self.port = None;
        self.device.restart().await?;
        self.connect().await
    }
}
