//! HTTP requests to control servers and workers.

use crate::endpoint::{Endpoint, EndpointError};
use crate::pool::{Idle, Pool};
use crate::transport::{Connector, TcpConnector};
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use icefarm_core::wire::{ErrorBody, ErrorCode, ErrorDetail, SECRET_HEADER};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How our clients introduce themselves.
pub(crate) const USER_AGENT_TEXT: &str = concat!("icefarm/", env!("CARGO_PKG_VERSION"));

/// What is sent along with a request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RequestOptions {
    /// How long connecting, sending and receiving may take together. 20 s unless changed.
    pub timeout: Duration,
    /// A token for `Authorization: Bearer`.
    pub bearer: Option<Bearer>,
    /// The secret that a worker registered with, for the header of its own: the bearer is its token
    /// then.
    pub secret: Option<Bearer>,
    /// The media type that is asked for. `application/json` unless changed.
    pub accept: &'static str,
}

impl Default for RequestOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(20),
            bearer: None,
            secret: None,
            accept: "application/json",
        }
    }
}

impl RequestOptions {
    /// The same with another time limit.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same with a bearer token.
    #[must_use]
    pub fn bearer(mut self, token: impl Into<String>) -> Self {
        self.bearer = Some(Bearer::new(token));
        self
    }

    /// The same with a worker's secret in a header of its own.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secret = Some(Bearer::new(secret));
        self
    }

    /// The same with another media type asked for.
    #[must_use]
    pub fn accept(mut self, media_type: &'static str) -> Self {
        self.accept = media_type;
        self
    }
}

/// A secret, which does not show up in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Bearer(String);

impl Bearer {
    /// A secret that is to be shown.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The header's value, if the secret can be one.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        sensitive(format!("Bearer {}", self.0))
    }
}

fn sensitive(text: String) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(..)")
    }
}

/// Why a request has no answer, or a bad one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The address is none.
    #[error(transparent)]
    InvalidUrl(#[from] EndpointError),
    /// The request cannot be written: an odd path or token, or a body that is no JSON.
    #[error("the request to {url} cannot be made: {reason}")]
    Request {
        /// Where it should have gone.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server cannot be reached.
    #[error("cannot connect to {url}: {source}")]
    Connect {
        /// The server.
        url: String,
        /// What the system says.
        source: io::Error,
    },
    /// There was no answer in time. The server may have acted on the request.
    #[error("{url} did not answer within {timeout:?}")]
    Timeout {
        /// Where the request went.
        url: String,
        /// How long it had.
        timeout: Duration,
    },
    /// The server answered with an error.
    #[error("{url}: {error}")]
    Answer {
        /// Where the request went.
        url: String,
        /// The HTTP status.
        status: StatusCode,
        /// What the server says.
        #[source]
        error: ErrorDetail,
    },
    /// The connection broke, or the answer is not what it should be. The server may have acted
    /// on the request.
    #[error("{url} did not answer properly: {reason}")]
    Protocol {
        /// Where the request went.
        url: String,
        /// What happened.
        reason: String,
        /// What the connection says.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl HttpError {
    /// The server's own code, if it answered with an error.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Answer { error, .. } => Some(error.code),
            _ => None,
        }
    }
}

/// An HTTP/1.1 client. Clones share their connections, which are kept for a few seconds.
///
/// ```no_run
/// # async fn run() -> Result<(), icefarm_net::HttpError> {
/// use icefarm_net::{HttpClient, RequestOptions};
///
/// let control = "http://127.0.0.1:8080".parse()?;
/// let client = HttpClient::default();
/// let body = serde_json::json!({"name": "me", "serials": ["A"]});
/// let ended: Vec<String> =
///     client.post_json(&control, "/end", &body, &RequestOptions::default()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HttpClient {
    connector: Arc<dyn Connector>,
    pool: Arc<Pool>,
    max_answer: usize,
}

/// Over TCP.
impl Default for HttpClient {
    fn default() -> Self {
        Self::new(Arc::new(TcpConnector))
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("max_answer", &self.max_answer).finish_non_exhaustive()
    }
}

impl HttpClient {
    /// A client that connects in its own way. Answers may have 16 MiB.
    #[must_use]
    pub fn new(connector: Arc<dyn Connector>) -> Self {
        Self { connector, pool: Arc::default(), max_answer: 16 << 20 }
    }

    /// The same, with another limit for the answers' size in bytes.
    #[must_use]
    pub fn max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = bytes;
        self
    }

    /// Sends `body` as JSON to `path`, which begins with a slash, and reads the answer.
    ///
    /// # Errors
    /// [`HttpError`]. After `Timeout` and `Protocol` the server may have acted on the request.
    pub async fn post_json<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        path: &str,
        body: &(impl Serialize + ?Sized),
        options: &RequestOptions,
    ) -> Result<T, HttpError> {
        let body = serde_json::to_vec(body).map_err(|error| HttpError::Request {
            url: format!("{endpoint}{path}"),
            reason: error.to_string(),
        })?;
        self.json(endpoint, path, Some(body.into()), options).await
    }

    /// Asks for `path`, which begins with a slash, and reads the answer.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn get_json<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        path: &str,
        options: &RequestOptions,
    ) -> Result<T, HttpError> {
        self.json(endpoint, path, None, options).await
    }

    /// Asks for `path`, which begins with a slash, and reads an answer that is no JSON.
    ///
    /// # Errors
    /// [`HttpError`]; also if the answer is no UTF-8.
    pub async fn get_text(
        &self,
        endpoint: &Endpoint,
        path: &str,
        options: &RequestOptions,
    ) -> Result<String, HttpError> {
        let call = Call { client: self, endpoint, url: format!("{endpoint}{path}") };
        let answer = call.answer(path, None, options).await?;
        String::from_utf8(answer.into())
            .map_err(|error| call.broken("the answer is no text", error))
    }

    async fn json<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        path: &str,
        body: Option<Bytes>,
        options: &RequestOptions,
    ) -> Result<T, HttpError> {
        let call = Call { client: self, endpoint, url: format!("{endpoint}{path}") };
        let answer = call.answer(path, body, options).await?;
        serde_json::from_slice(&answer)
            .map_err(|error| call.broken("the answer is not the JSON that was expected", error))
    }
}

/// What a server says with an error status, whether it is one of ours or not.
pub(crate) fn refusal(status: StatusCode, body: &[u8]) -> ErrorDetail {
    if let Ok(ErrorBody { error }) = serde_json::from_slice(body) {
        return error;
    }
    let text = String::from_utf8_lossy(body);
    let text: String = text.trim().escape_debug().take(200).collect();
    let colon = if text.is_empty() { "" } else { ": " };
    ErrorDetail::new(ErrorCode::Other, format!("HTTP status {status}{colon}{text}"))
}

/// One request to one server.
struct Call<'a> {
    client: &'a HttpClient,
    endpoint: &'a Endpoint,
    url: String,
}

impl Call<'_> {
    /// Sends it, and gives the body of an answer that is no refusal.
    async fn answer(
        &self,
        path: &str,
        body: Option<Bytes>,
        options: &RequestOptions,
    ) -> Result<Bytes, HttpError> {
        let request = self.request(path, body, options)?;
        let answered = tokio::time::timeout(options.timeout, self.run(request)).await;
        let (status, answer) = match answered {
            Ok(answered) => answered?,
            Err(_) => {
                return Err(HttpError::Timeout { url: self.url.clone(), timeout: options.timeout });
            }
        };
        if !status.is_success() {
            let error = refusal(status, &answer);
            return Err(HttpError::Answer { url: self.url.clone(), status, error });
        }
        Ok(answer)
    }

    fn broken(
        &self,
        reason: &str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> HttpError {
        let source = source.into();
        let reason = format!("{reason}: {source}");
        HttpError::Protocol { url: self.url.clone(), reason, source: Some(source) }
    }

    fn request(
        &self,
        path: &str,
        body: Option<Bytes>,
        options: &RequestOptions,
    ) -> Result<Request<Full<Bytes>>, HttpError> {
        let refuse = |reason: String| HttpError::Request { url: self.url.clone(), reason };
        if !path.starts_with('/') {
            return Err(refuse(format!("the path `{path}` does not begin with a slash")));
        }
        let mut request = Request::builder()
            .uri(path)
            .header(HOST, self.endpoint.authority())
            .header(USER_AGENT, USER_AGENT_TEXT)
            .header(ACCEPT, options.accept);
        let odd = || refuse("the token holds characters that no token has".to_owned());
        if let Some(bearer) = &options.bearer {
            request = request.header(AUTHORIZATION, bearer.header().ok_or_else(odd)?);
        }
        if let Some(Bearer(secret)) = &options.secret {
            let value = sensitive(secret.clone()).ok_or_else(odd)?;
            request = request.header(SECRET_HEADER, value);
        }
        if body.is_some() {
            request = request.method(Method::POST).header(CONTENT_TYPE, "application/json");
        }
        request.body(Full::new(body.unwrap_or_default())).map_err(|error| refuse(error.to_string()))
    }

    async fn run(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), HttpError> {
        let pool = &self.client.pool;
        // A kept connection may have been closed by the server. hyper gives the request back if
        // not a byte of it was sent, and only then it is tried on a new connection.
        if let Some(mut idle) = pool.take(self.endpoint) {
            match idle.try_send_request(request).await {
                Ok(response) => return self.receive(response, idle).await,
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(self.broken("the connection broke", error.into_error())),
                },
            }
        }
        let mut fresh = self.connect().await?;
        match fresh.send_request(request).await {
            Ok(response) => self.receive(response, fresh).await,
            Err(error) => Err(self.broken("the connection broke", error)),
        }
    }

    async fn connect(&self) -> Result<Idle, HttpError> {
        let io = match self.client.connector.connect(self.endpoint).await {
            Ok(io) => io,
            Err(source) => {
                return Err(HttpError::Connect { url: self.endpoint.to_string(), source });
            }
        };
        let (sender, connection) = http1::handshake(TokioIo::new(io))
            .await
            .map_err(|error| self.broken("the connection broke", error))?;
        tokio::spawn(async move {
            // Whoever waits for an answer on it hears of the error, too.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection failed");
            }
        });
        Ok(sender)
    }

    async fn receive(
        &self,
        response: Response<Incoming>,
        sender: Idle,
    ) -> Result<(StatusCode, Bytes), HttpError> {
        let (parts, mut body) = response.into_parts();
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.broken("the answer broke off", error))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > self.client.max_answer {
                let reason = format!("more than {} bytes", self.client.max_answer);
                return Err(HttpError::Protocol { url: self.url.clone(), reason, source: None });
            }
            bytes.extend_from_slice(&data);
        }
        self.client.pool.put(self.endpoint, sender);
        Ok((parts.status, bytes.freeze()))
    }
}
