//! The gate: who sends a request, and how often.

use super::sessions::Sessions;
use super::tokens::{Tokens, Useless};
use http::header::{ACCEPT, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, Method};
use icefarm_core::wire::{ErrorCode, ErrorDetail, Role, TokenDetail};
use icefarm_core::{Clock, SteadyClock, TokenId};
use icefarm_net::{Access, Denial, Pace, Paces, Token, TokenDigest, bearer, cookie, host_of};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use warp::http;

/// The cookie of the panel's sessions.
pub(crate) const SESSION_COOKIE: &str = "icefarm_session";

/// What is answered without a token: whether the server lives, and the page on which to log in.
const OPEN: [&str; 4] = ["/healthz", "/login", "/assets/login.css", "/assets/icon.svg"];

/// Who sends a request that was let in.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The token; nothing on a farm that asks for none, where everybody is an operator.
    token: Option<Arc<TokenDetail>>,
    /// The session of the panel, if it is one.
    session: Option<TokenDigest>,
}

impl Identity {
    pub(crate) const ANYBODY: Self = Self { token: None, session: None };

    pub(crate) fn of(token: Arc<TokenDetail>) -> Self {
        Self { token: Some(token), session: None }
    }

    pub(crate) fn token(&self) -> Option<&Arc<TokenDetail>> {
        self.token.as_ref()
    }

    pub(crate) fn session(&self) -> Option<&TokenDigest> {
        self.session.as_ref()
    }

    pub(crate) fn role(&self) -> Role {
        self.token.as_ref().map_or(Role::Operator, |token| token.role)
    }
}

/// Who is held to a pace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Token(TokenId),
    Host(IpAddr),
}

/// How often things may be tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GatePaces {
    /// Credentials that are not valid, from one host.
    pub(crate) failures: Pace,
    /// Requests that change something, by one token or from one host.
    pub(crate) writes: Pace,
}

/// Decides about every request.
#[derive(Debug)]
pub(crate) struct Gate {
    tokens: Arc<Tokens>,
    sessions: Arc<Sessions>,
    failures: Paces<IpAddr>,
    writes: Paces<Who>,
    clock: SteadyClock,
}

impl Gate {
    pub(crate) fn new(
        tokens: Arc<Tokens>,
        sessions: Arc<Sessions>,
        paces: GatePaces,
        clock: SteadyClock,
    ) -> Self {
        let GatePaces { failures, writes } = paces;
        Self { tokens, sessions, failures: Paces::new(failures), writes: Paces::new(writes), clock }
    }

    /// Who shows this token. What is not valid counts against the host.
    ///
    /// # Errors
    /// `unauthorized`, or `overloaded` for a host that has tried too often. A valid token is taken
    /// from such a host too: others behind its address must not be shut out by it.
    pub(crate) fn check(&self, shown: &str, peer: SocketAddr) -> Result<Identity, ErrorDetail> {
        let found = match shown.parse::<Token>() {
            Ok(token) => self.tokens.find(&token, self.clock.now()),
            Err(_) => Err(Useless::Unknown),
        };
        let useless = match found {
            Ok(token) => return Ok(Identity::of(token)),
            Err(useless) => useless,
        };
        let host = host_of(peer.ip());
        if let Err(wait) = self.failures.take(&host) {
            return Err(later("this host has shown too many tokens that are not valid", wait));
        }
        tracing::info!(%host, ?useless, "a token was shown that is not valid");
        let why = match useless {
            Useless::Unknown => "the access token is not one of this farm",
            Useless::Revoked => "the access token was revoked",
            Useless::Expired => "the time of the access token is over",
        };
        let message = format!(
            "{why}; ask the operator of the farm for another one, and then say \
             `icefarm login URL`, or set ICEFARM_TOKEN"
        );
        Err(ErrorDetail::new(ErrorCode::Unauthorized, message))
    }

    fn identify(&self, request: &Parts, peer: SocketAddr) -> Result<Identity, Denial> {
        if let Some(shown) = bearer(&request.headers)? {
            return Ok(self.check(shown, peer)?);
        }
        if let Some(name) = cookie(&request.headers, SESSION_COOKIE)
            && let Some(identity) = self.of_session(name)
        {
            return Ok(identity);
        }
        let message = "this farm asks for an access token: ask its operator for one, and then say \
                       `icefarm login URL`, or set ICEFARM_TOKEN; other programs send it as \
                       `Authorization: Bearer TOKEN`";
        let detail = ErrorDetail::new(ErrorCode::Unauthorized, message);
        let is_page = request.method == Method::GET
            && request.uri.path() == "/"
            && accepts_pages(&request.headers);
        Err(Denial { detail, location: is_page.then_some("/login") })
    }

    /// Who has logged in with a browser under this session.
    fn of_session(&self, name: &str) -> Option<Identity> {
        let now = self.clock.now();
        let (digest, session) = self.sessions.get(name, now)?;
        let token = self.tokens.get(&session.token).filter(|token| token.is_valid(now))?;
        Some(Identity { token: Some(token), session: Some(digest) })
    }

    /// Whether what let somebody in still holds.
    pub(crate) fn holds(&self, identity: &Identity) -> bool {
        let now = self.clock.now();
        let token = identity.token.as_ref();
        let session = identity.session.as_ref();
        token.is_none_or(|token| self.tokens.is_valid(&token.id, now))
            && session.is_none_or(|session| self.sessions.is_open(session, now))
    }

    /// Waits until what let somebody in does not hold any more.
    pub(crate) async fn ended(&self, identity: &Identity) {
        /// Ends by time are seen so soon.
        const LOOK: Duration = Duration::from_secs(5);
        if identity.token.is_none() {
            // Whoever was let in without a token stays until tokens are made.
            let mut version = self.tokens.watch();
            while self.tokens.is_empty() {
                if version.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
            return;
        }
        let (mut tokens, mut sessions) = (self.tokens.watch(), self.sessions.watch());
        while self.holds(identity) {
            tokio::select! {
                _ = tokens.changed() => {}
                _ = sessions.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    fn paced(&self, request: &Parts, who: Who) -> Result<(), ErrorDetail> {
        if !changes(request) {
            return Ok(());
        }
        let wait = match self.writes.take(&who) {
            Ok(()) => return Ok(()),
            Err(wait) => wait,
        };
        Err(later("too many requests that change something came from here", wait))
    }
}

impl Access for Gate {
    fn admit(&self, request: &mut Parts, peer: SocketAddr) -> Result<(), Denial> {
        let host = Who::Host(host_of(peer.ip()));
        if self.tokens.is_empty() {
            request.extensions.insert(Identity::ANYBODY);
            return Ok(self.paced(request, host)?);
        }
        match self.identify(request, peer) {
            Ok(identity) => {
                let who = identity.token().map_or(host, |token| Who::Token(token.id.clone()));
                self.paced(request, who)?;
                request.extensions.insert(identity);
                Ok(())
            }
            Err(_) if OPEN.contains(&request.uri.path()) => Ok(self.paced(request, host)?),
            Err(denial) => Err(denial),
        }
    }
}

/// Whether a request may change something. The Python clients send everything as GET, with a body.
fn changes(request: &Parts) -> bool {
    let reads = matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let length = request.headers.get(CONTENT_LENGTH);
    let has_body = request.headers.contains_key(TRANSFER_ENCODING)
        || length.is_some_and(|length| length.as_bytes() != b"0");
    !reads || has_body
}

fn accepts_pages(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.into_iter().any(|value| value.contains("text/html"))
}

fn later(what: &str, wait: Duration) -> ErrorDetail {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let message = format!("{what}; try again in {seconds} s");
    ErrorDetail::new(ErrorCode::Overloaded, message).with("retry_after_s", seconds)
}
