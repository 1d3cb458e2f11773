//! Control's HTTP interface, as the small commands use it: one request, one answer.

use super::args::ClientArgs;
use super::credentials::{self, CredentialsFault};
use super::{pairs, print};
use crate::trust::{self, TokenFault};
use crate::{exit, serve};
use icefarm_client::ClientError;
use icefarm_core::Serial;
use icefarm_core::wire::{BoardDetail, ErrorCode, NamePattern, V1_JSON};
use icefarm_net::{Endpoint, HttpClient, HttpError, RequestOptions};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::{Path, PathBuf};
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
    #[error(transparent)]
    Token(#[from] TokenFault),
    #[error(transparent)]
    Credentials(#[from] CredentialsFault),
    #[error(transparent)]
    Tls(#[from] icefarm_net::TlsError),
    #[error("what was typed is no token: {0}")]
    NoToken(#[source] icefarm_net::TokenError),
    #[error("the token cannot be read: {0}")]
    Input(#[source] std::io::Error),
    #[error("--role says what the token is good for: client, worker or operator")]
    NoRole,
    #[error(
        "there is neither a worker nor a board `{name}`; `icefarm status` lists the workers, and \
         `icefarm devices` the boards"
    )]
    Nothing { name: String },
    #[error(
        "no board `{serial}` is known, and nothing of one has happened; `icefarm devices` lists the \
         boards"
    )]
    NoBoard { serial: String },
    #[error("board `{serial}` is not reserved by `{name}`; `icefarm devices` shows who holds it")]
    NotHeld { serial: String, name: String },
    #[error(
        "board `{serial}` was not rebooted: nobody holds it, its worker does not answer, or no \
         worker has it; `icefarm board {serial}` says which"
    )]
    NotRebooted { serial: String },
    #[error("interrupted; the request does not wait any more")]
    Interrupted,
    #[error(
        "{why}; and the request could not be cancelled ({source}), so boards may be reserved by \
         `{name}`, or be so later: `icefarm devices` shows it, and `icefarm end SERIAL --name \
         {name}` gives them back"
    )]
    Open { name: String, why: String, source: Box<Fault> },
    /// With what the shell is told of the signal.
    #[error("interrupted")]
    Stopped(u8),
    #[error("{0}")]
    Label(String),
    #[error("the runtime cannot be started: {0}")]
    Runtime(#[source] std::io::Error),
    /// Whoever read stdout has seen enough, or it takes no more.
    #[error("the output cannot be written: {0}")]
    Output(#[source] std::io::Error),
    #[error(
        "the new token cannot be shown: {source}; nobody has it now, so revoke it: icefarm token \
         revoke {id}"
    )]
    TokenUnseen { id: String, source: std::io::Error },
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
    let shown = Shown::of(args)?;
    let mut client = icefarm_client::Client::builder(&args.control).name(name(args));
    client = client.connector(trust::connector(shown.ca.as_deref())?);
    if let Some(token) = shown.token {
        client = client.token(token);
    }
    client.connect().await.map_err(|error| match error {
        ClientError::Unreachable { .. } => Fault::NoFarm(Box::new(error)),
        other => Fault::Client(other),
    })
}

/// The name that reservations belong to.
pub(crate) fn name(args: &ClientArgs) -> String {
    args.name.clone().unwrap_or_else(|| {
        let user = std::env::var("USER").ok().filter(|user| !user.is_empty());
        let usual = format!("{}@{}", user.as_deref().unwrap_or("user"), serve::host_name());
        // Somebody who has logged in need not say a name that the token may use.
        let kept = args.control.parse().ok().and_then(|farm| credentials::find(&farm).ok()?);
        let names = kept.map(|kept| kept.names).unwrap_or_default();
        fitting(usual, &names)
    })
}

/// The usual name, if it may be used; otherwise one that may.
fn fitting(usual: String, names: &[NamePattern]) -> String {
    let Some(first) = names.first() else { return usual };
    if names.iter().any(|pattern| pattern.matches(&usual)) {
        return usual;
    }
    match first.as_str().strip_suffix('*') {
        Some(start) => format!("{start}{}", serve::host_name()),
        None => first.to_string(),
    }
}

/// What is shown to a farm, and whom one trusts there.
pub(crate) struct Shown {
    pub(crate) token: Option<String>,
    pub(crate) ca: Option<PathBuf>,
}

impl Shown {
    pub(crate) fn of(args: &ClientArgs) -> Result<Self, Fault> {
        let farm: Endpoint = args.control.parse().map_err(HttpError::from)?;
        let given = args.token.token()?;
        let ca = args.trust.ca.clone();
        // What is kept is asked for only where something is missing.
        let kept = match (&given, &ca) {
            (Some(_), Some(_)) => None,
            _ => credentials::find(&farm)?,
        };
        let (token, kept_ca) = kept.map(|kept| (kept.token, kept.ca)).unzip();
        Ok(Self {
            token: given.map(|token| token.as_str().to_owned()).or(token),
            ca: ca.or(kept_ca.flatten()),
        })
    }
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
        let shown = Shown::of(args)?;
        Self::with(endpoint, shown.token.as_deref(), shown.ca.as_deref())
    }

    pub(crate) fn with(
        endpoint: Endpoint,
        token: Option<&str>,
        ca: Option<&Path>,
    ) -> Result<Self, Fault> {
        // Control asks workers for some commands, and waits for them up to ten seconds.
        let timeout = Duration::from_secs(30);
        let mut options = RequestOptions::default().timeout(timeout).accept(V1_JSON);
        if let Some(token) = token {
            options = options.bearer(token);
        }
        Ok(Self { http: HttpClient::new(trust::connector(ca)?), endpoint, options })
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

impl Control {
    /// The serials that these texts mean, each a serial or a name that an operator gave to a board.
    /// What is neither stays as it is: control knows what to say of it.
    pub(crate) async fn serials(&self, texts: &[String]) -> Result<Vec<String>, Fault> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let boards: Vec<BoardDetail> = self.get("/v1/boards").await?;
        Ok(texts.iter().map(|text| meant(&boards, text)).collect())
    }

    /// As [`Self::serials`], of one.
    pub(crate) async fn serial(&self, text: &str) -> Result<String, Fault> {
        let boards: Vec<BoardDetail> = self.get("/v1/boards").await?;
        Ok(meant(&boards, text))
    }
}

/// The serial that a text means: a serial, or a board's name.
pub(crate) fn meant(boards: &[BoardDetail], text: &str) -> String {
    if boards.iter().any(|board| board.serial.as_str() == text) {
        return text.to_owned();
    }
    let named = boards.iter().find(|board| board.name.as_deref() == Some(text));
    named.map_or_else(|| text.to_owned(), |board| board.serial.to_string())
}

/// Runs a command that works or fails.
pub(crate) fn run(work: impl Future<Output = Result<(), Fault>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Fault::Runtime).and_then(|runtime| runtime.block_on(work)) {
        Err(Fault::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => exit::DONE,
        Err(Fault::Stopped(status)) => ExitCode::from(status),
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
    fn a_name_fits_the_token() {
        let names: Vec<NamePattern> = ["ann", "ann-*"].map(|name| name.parse().unwrap()).into();
        assert_eq!(fitting("u@h".into(), &[]), "u@h");
        assert_eq!(fitting("ann-2".into(), &names), "ann-2");
        assert_eq!(fitting("u@h".into(), &names), "ann");
        assert!(fitting("u@h".into(), &names[1..]).starts_with("ann-"));
    }

    #[test]
    fn a_serial_stays_one_part_of_a_path() {
        assert_eq!(escaped("SIM-1.a_b~"), "SIM-1.a_b~");
        assert_eq!(escaped("a b/ä?"), "a%20b%2F%C3%A4%3F");
    }
}
