//! Control's HTTP interface, as the small commands use it: one request, one answer.

use super::args::ClientArgs;
use super::{pairs, print};
use crate::{exit, serve};
use icefarm_client::ClientError;
use icefarm_core::Serial;
use icefarm_core::wire::{ErrorCode, V1_JSON};
use icefarm_net::{Endpoint, HttpClient, HttpError, RequestOptions};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::process::ExitCode;
use std::time::Duration;

/// Why a command that talks to a farm did not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{0}; --control says where the farm is, and `icefarm up` starts one")]
    NoFarm(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(transparent)]
    Http(HttpError),
    #[error(transparent)]
    Client(ClientError),
    #[error(transparent)]
    Pair(#[from] pairs::PairError),
    #[error(transparent)]
    Name(#[from] icefarm_core::NameError),
    #[error(transparent)]
    Serve(#[from] serve::ServeError),
    #[error(
        "there is neither a worker nor a board `{name}`; `icefarm status` lists the workers, and \
         `icefarm devices` the boards"
    )]
    Nothing { name: String },
    #[error("board `{serial}` is not reserved by `{name}`; `icefarm devices` shows who holds it")]
    NotHeld { serial: String, name: String },
    #[error(
        "board `{serial}` was not rebooted: nobody holds it, its worker does not answer, or no \
         worker has it; `icefarm board {serial}` says which"
    )]
    NotRebooted { serial: String },
    #[error("the runtime cannot be started: {0}")]
    Runtime(#[source] std::io::Error),
    /// Whoever read stdout has seen enough.
    #[error("stdout is closed: {0}")]
    Output(#[source] std::io::Error),
}

impl Fault {
    /// Whether boards were refused only because others hold them.
    pub(crate) fn is_for_now(&self) -> bool {
        let code = match self {
            Self::Http(error) => error.code(),
            Self::Client(error) => error.code(),
            _ => None,
        };
        matches!(code, Some(ErrorCode::NotEnoughDevices | ErrorCode::NotAvailable))
    }
}

impl Fault {
    /// Whether the same request may be answered later: control is starting, or on its way back.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::NoFarm(_) => true,
            Self::Http(HttpError::Timeout { .. } | HttpError::Protocol { .. }) => true,
            Self::Http(error) => {
                matches!(error.code(), Some(ErrorCode::Unavailable | ErrorCode::Overloaded))
            }
            _ => false,
        }
    }
}

impl From<HttpError> for Fault {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Connect { .. } => Self::NoFarm(Box::new(error)),
            _ => Self::Http(error),
        }
    }
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

/// A client that is connected to the farm.
pub(crate) async fn connect(args: &ClientArgs) -> Result<icefarm_client::Client, Fault> {
    let connecting = icefarm_client::Client::builder(&args.control).name(name(args)).connect();
    connecting.await.map_err(|error| match error {
        ClientError::Unreachable { .. } => Fault::NoFarm(Box::new(error)),
        other => Fault::Client(other),
    })
}

/// The name that reservations belong to.
pub(crate) fn name(args: &ClientArgs) -> String {
    args.name.clone().unwrap_or_else(|| {
        let user = std::env::var("USER").ok().filter(|user| !user.is_empty());
        format!("{}@{}", user.as_deref().unwrap_or("user"), serve::host_name())
    })
}

/// Control, asked once.
pub(crate) struct Control {
    http: HttpClient,
    endpoint: Endpoint,
    options: RequestOptions,
}

impl Control {
    pub(crate) fn of(args: &ClientArgs) -> Result<Self, Fault> {
        let endpoint = args.control.parse().map_err(HttpError::from)?;
        // Control asks workers for some commands, and waits for them up to ten seconds.
        let options = RequestOptions::default().timeout(Duration::from_secs(30)).accept(V1_JSON);
        Ok(Self { http: HttpClient::default(), endpoint, options })
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Fault> {
        Ok(self.http.get_json(&self.endpoint, path, &self.options).await?)
    }

    /// As [`Self::get`], for an answer that may wait so long before it comes.
    pub(crate) async fn get_within<T: DeserializeOwned>(
        &self,
        path: &str,
        wait: Duration,
    ) -> Result<T, Fault> {
        let options = self.options.clone();
        let timeout = options.timeout + wait;
        Ok(self.http.get_json(&self.endpoint, path, &options.timeout(timeout)).await?)
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, Fault> {
        Ok(self.http.post_json(&self.endpoint, path, body, &self.options).await?)
    }
}

/// Runs a command that works or fails.
pub(crate) fn run(work: impl Future<Output = Result<(), Fault>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Fault::Runtime).and_then(|runtime| runtime.block_on(work)) {
        Err(Fault::Output(_)) => exit::DONE,
        outcome => exit::of(outcome),
    }
}

/// Prints the boards that something was done to.
pub(crate) fn tell(serials: &[Serial], json: bool, nothing: &str) {
    if json {
        print::json(&serials);
    } else if serials.is_empty() {
        if !nothing.is_empty() {
            print::line(nothing);
        }
    } else {
        serials.iter().for_each(|serial| print::line(serial.as_str()));
    }
}

/// A text as part of a path or a query.
pub(crate) fn escaped(text: &str) -> String {
    let mut path = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_stays_one_part_of_a_path() {
        assert_eq!(escaped("SIM-1.a_b~"), "SIM-1.a_b~");
        assert_eq!(escaped("a b/ä?"), "a%20b%2F%C3%A4%3F");
    }
}
