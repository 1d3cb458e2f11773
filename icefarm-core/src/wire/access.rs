//! Who may do what: roles and tokens, the tickets of workers, and the record of what was done.

use super::ReservationAnswer;
use crate::clock::Timestamp;
use crate::{ArgError, Args, ClientName, NameError, Serial, TokenId, WorkerName};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The header in which a worker shows the secret that it registered with, where its token takes
/// the place of the bearer.
pub const SECRET_HEADER: &str = "x-icefarm-secret";

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// To reserve boards under its names, and to do with them what their holder may do.
    Client,
    /// To register workers of its names.
    Worker,
    /// Everything.
    Operator,
}

impl Role {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Client, Self::Worker, Self::Operator];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Worker => "worker",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role; roles are client, worker and operator")]
pub struct RoleError(String);

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(word: &str) -> Result<Self, RoleError> {
        let found = Self::ALL.iter().find(|role| role.as_str() == word);
        found.copied().ok_or_else(|| RoleError(word.escape_debug().take(40).collect()))
    }
}

/// The names that a token may use: one name, all that begin alike (`alice-*`), or all (`*`).
///
/// ```
/// use icefarm_core::wire::NamePattern;
///
/// let pattern: NamePattern = "alice-*".parse().unwrap();
/// assert!(pattern.matches("alice-evolution") && pattern.matches("alice-"));
/// assert!(!pattern.matches("alice") && !pattern.matches("bob"));
/// assert!("a*b".parse::<NamePattern>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct NamePattern(Arc<str>);

/// Why a text is no pattern of names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// What stands in it cannot be part of a name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A star stands elsewhere than at the end.
    #[error("`{0}`: a star may only stand at the end of a pattern of names, as in `alice-*`")]
    Star(String),
}

impl NamePattern {
    /// Checks a text.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn new(text: &str) -> Result<Self, PatternError> {
        // A pattern is a name, or the beginning of names and a star.
        ClientName::new(text)?;
        let start = text.strip_suffix('*').unwrap_or(text);
        if start.contains('*') {
            return Err(PatternError::Star(text.to_owned()));
        }
        Ok(Self(text.into()))
    }

    /// Whether a name is one of those that are meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => *name == *self.0,
        }
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for NamePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for NamePattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A token as it is listed: everything but the secret, which nobody keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenDetail {
    /// What it is called by, to revoke it and in the audit log.
    pub id: TokenId,
    /// What it is for, for people.
    pub label: String,
    /// What it is good for.
    pub role: Role,
    /// The names that it may use: of clients, or of workers. Operators may use all.
    pub names: Vec<NamePattern>,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends by itself.
    #[serde(default)]
    pub expires: Option<Timestamp>,
    /// When somebody revoked it.
    #[serde(default)]
    pub revoked: Option<Timestamp>,
}

impl TokenDetail {
    /// Whether it is good for anything at this time.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }

    /// Whether it may use this name.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        self.role == Role::Operator || self.names.iter().any(|pattern| pattern.matches(name))
    }
}

/// The body of `POST /v1/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CreateToken {
    /// What it is good for.
    pub role: Role,
    /// The names that it may use; needed unless the role is that of an operator.
    pub names: Vec<NamePattern>,
    /// What it is for, for people; the role if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How long it lasts, in seconds; until it is revoked if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
}

impl CreateToken {
    /// Reads the body.
    ///
    /// # Errors
    /// [`ArgError`] names the key that is missing or wrong.
    pub fn read(mut args: Args) -> Result<Self, ArgError> {
        Ok(Self {
            role: args.take("role")?,
            names: args.take::<Option<Vec<NamePattern>>>("names")?.unwrap_or_default(),
            label: args.take("label")?,
            expires_in_s: args.take("expires_in_s")?,
        })
    }
}

/// The answer to a [`CreateToken`], the only one that has the secret in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedToken {
    /// The token itself.
    pub token: String,
    /// What is known of it.
    pub detail: TokenDetail,
}

impl fmt::Debug for CreatedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedToken").field("detail", &self.detail).finish_non_exhaustive()
    }
}

/// The answer of `GET /v1/whoami`: what control makes of the one who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoAmI {
    /// What the asker may do. Without tokens everybody is an operator.
    pub role: Role,
    /// Whether this farm asks for tokens.
    pub tokens: bool,
    /// The token that was shown; nothing on a farm that asks for none.
    #[serde(default)]
    pub token: Option<TokenDetail>,
}

/// The body of `POST /v1/tickets`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskTickets {
    /// In whose name workers are to be talked to.
    pub name: ClientName,
}

impl AskTickets {
    /// Reads the body.
    ///
    /// # Errors
    /// [`ArgError`] names the key that is missing or wrong.
    pub fn read(mut args: Args) -> Result<Self, ArgError> {
        Ok(Self { name: args.take("name")? })
    }
}

/// The answer to [`AskTickets`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tickets {
    /// A ticket for each worker of the farm, by its address. Empty on a farm without tokens.
    pub tickets: BTreeMap<String, String>,
    /// How long they last, in milliseconds.
    pub expires_in_ms: u64,
}

/// A reservation with tickets for the workers of its boards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketedReservation {
    /// The reservation.
    #[serde(flatten)]
    pub reservation: ReservationAnswer,
    /// A ticket for each worker, by its address. Absent on a farm without tokens.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tickets: BTreeMap<String, String>,
}

/// What control tells a worker with every heartbeat. A body without it changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatNews {
    /// Control's time, by which tickets end.
    pub now: Timestamp,
    /// Whether clients must show tickets.
    pub tickets: bool,
}

/// Something that somebody did, or was not allowed to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number. Numbers rise by one.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// The token that was shown; nothing on a farm without tokens.
    #[serde(default)]
    pub token: Option<TokenId>,
    /// What that token is for, for people.
    #[serde(default)]
    pub label: Option<String>,
    /// The role of who did it.
    pub role: Role,
    /// Where it came from: an address without the port.
    pub peer: String,
    /// What was done: a word such as `reserve` or `revoke_token`.
    pub action: String,
    /// In which client's name, or whose lease it was about.
    #[serde(default)]
    pub client: Option<ClientName>,
    /// On which boards.
    #[serde(default)]
    pub serials: Vec<Serial>,
    /// On which worker.
    #[serde(default)]
    pub worker: Option<WorkerName>,
    /// On which token.
    #[serde(default)]
    pub on_token: Option<TokenId>,
    /// `done`, or the code of the error by which it was refused.
    pub outcome: String,
}

/// The answer of `GET /v1/audit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// The newest entries that are meant, the oldest of them first.
    pub entries: Vec<AuditEntry>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> NamePattern {
        NamePattern::new(text).unwrap()
    }

    #[test]
    fn patterns_mean_one_name_or_a_beginning() {
        assert!(pattern("*").matches("anybody"));
        assert!(pattern("ann").matches("ann"));
        for other in ["anna", "an", "Ann", "*", ""] {
            assert!(!pattern("ann").matches(other), "{other}");
        }
        assert!(!pattern("ann-*").matches("ann"));
        for wrong in ["", "**", "a*b", "*a", "a\nb*"] {
            assert!(NamePattern::new(wrong).is_err(), "{wrong:?}");
        }
        assert!(serde_json::from_str::<NamePattern>("\"a*b\"").is_err());
    }

    #[test]
    fn roles_are_words() {
        for role in Role::ALL {
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
            assert_eq!(role.as_str().parse(), Ok(*role));
        }
        assert!("root".parse::<Role>().is_err());
    }

    #[test]
    fn a_created_token_does_not_show_up_in_logs() {
        let detail = TokenDetail {
            id: "t".into(),
            label: "x".into(),
            role: Role::Client,
            names: vec![pattern("a-*")],
            created: Timestamp(5),
            expires: Some(Timestamp(9)),
            revoked: None,
        };
        assert!(detail.is_valid(Timestamp(8)) && !detail.is_valid(Timestamp(9)));
        assert!(detail.allows("a-1") && !detail.allows("b"));
        let created = CreatedToken { token: "geheim".into(), detail };
        assert!(!format!("{created:?}").contains("geheim"));
    }
}
