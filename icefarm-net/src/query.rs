//! What a websocket says of itself in its URL.

use crate::codec::Encoding;
use icefarm_core::wire::{ErrorCode, ErrorDetail, PROTOCOL, Position};
use icefarm_core::{ClientName, InstanceId, NameError};
use std::fmt;
use std::sync::Arc;

/// A subscriber's name of itself, usually a UUID: the process that reserves as `instance`
/// subscribes as `sub`, so what is fit for one is fit for the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberId(InstanceId);

impl SubscriberId {
    /// Checks `text` and makes a subscriber's name of it.
    ///
    /// # Errors
    /// Those of [`InstanceId::new`].
    pub fn new(text: &str) -> Result<Self, NameError> {
        InstanceId::new(text).map(Self)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The process that subscribes.
    #[must_use]
    pub fn instance(&self) -> &InstanceId {
        &self.0
    }

    pub(crate) fn shared(&self) -> Arc<str> {
        self.0.0.clone()
    }
}

impl fmt::Display for SubscriberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The query of a websocket's URL.
///
/// `client_id` says whose events are wanted. Without `v` there is nothing else to it, and the
/// frames are those of the first protocol. With `v=1` come `sub`, the subscriber's name of
/// itself; `epoch` and `seq`, the position to resume after; and `enc`, `json` or `msgpack`.
/// Unknown keys are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketQuery {
    /// Whose events are wanted, and in whose name commands are given.
    pub client: ClientName,
    /// What version 1 adds.
    pub v1: Option<V1Query>,
}

/// What a version 1 socket says beyond its client's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V1Query {
    /// Which subscriber of the client's events this is.
    pub sub: SubscriberId,
    /// It has everything up to here.
    pub resume: Option<Position>,
    /// How frames are sent to it. It may send in both encodings.
    pub encoding: Encoding,
}

impl SocketQuery {
    /// Reads the keys and values of a query.
    ///
    /// # Errors
    /// `bad_request` names the key that is missing, wrong or there twice; `version_mismatch`
    /// names both versions.
    pub fn read(pairs: &[(String, String)]) -> Result<Self, ErrorDetail> {
        let query = Pairs(pairs);
        let client = query.need("client_id")?;
        let client = ClientName::new(client).map_err(|error| wrong("client_id", error))?;
        let v1 = match query.get("v")? {
            Some(version) => {
                check_version(version)?;
                Some(query.v1()?)
            }
            None => None,
        };
        Ok(Self { client, v1 })
    }
}

fn check_version(asked: &str) -> Result<(), ErrorDetail> {
    let major = |version: &str| version.split('.').next().unwrap_or(version).parse::<u32>().ok();
    if major(asked).is_some() && major(asked) == major(PROTOCOL) {
        return Ok(());
    }
    let asked: String = asked.escape_debug().take(20).collect();
    let message = format!("this server speaks protocol {PROTOCOL}, and the client wants {asked}");
    Err(ErrorDetail::new(ErrorCode::VersionMismatch, message)
        .with("server", PROTOCOL)
        .with("client", asked))
}

struct Pairs<'a>(&'a [(String, String)]);

impl Pairs<'_> {
    fn get(&self, key: &str) -> Result<Option<&str>, ErrorDetail> {
        let mut values = self.0.iter().filter(|(name, _)| name == key).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(wrong(key, "it is there twice")),
            (value, None) => Ok(value.map(String::as_str)),
        }
    }

    fn need(&self, key: &str) -> Result<&str, ErrorDetail> {
        self.get(key)?.ok_or_else(|| wrong(key, "it is missing"))
    }

    fn v1(&self) -> Result<V1Query, ErrorDetail> {
        let sub = SubscriberId::new(self.need("sub")?).map_err(|error| wrong("sub", error))?;
        let encoding = match self.get("enc")? {
            None | Some("json") => Encoding::Json,
            Some("msgpack") => Encoding::MessagePack,
            Some(_) => return Err(wrong("enc", "neither `json` nor `msgpack`")),
        };
        let resume = match (self.get("epoch")?, self.get("seq")?) {
            (None, None) => None,
            (Some(epoch), Some(seq)) => {
                let seq = seq.parse().map_err(|_| wrong("seq", "not a whole number"))?;
                Some(Position { epoch: epoch.into(), seq })
            }
            (Some(_), None) => return Err(wrong("seq", "`epoch` is there, and it is missing")),
            (None, Some(_)) => return Err(wrong("epoch", "`seq` is there, and it is missing")),
        };
        Ok(V1Query { sub, resume, encoding })
    }
}

fn wrong(key: &str, reason: impl fmt::Display) -> ErrorDetail {
    let message = format!("the websocket's query, key `{key}`: {reason}");
    ErrorDetail::new(ErrorCode::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SocketQuery, ErrorDetail> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key.to_owned(), value.to_owned())
        });
        SocketQuery::read(&pairs.collect::<Vec<_>>())
    }

    #[test]
    fn old_and_new_clients_are_told_apart() {
        let plain = read("client_id=pulse count example&EIO=4").unwrap();
        assert_eq!(plain.client.as_str(), "pulse count example");
        assert_eq!(plain.v1, None);

        let new = read("client_id=c&v=1&sub=s&epoch=e&seq=17&enc=msgpack&x=y").unwrap();
        let v1 = V1Query {
            sub: SubscriberId::new("s").unwrap(),
            resume: Some(Position { epoch: "e".into(), seq: 17 }),
            encoding: Encoding::MessagePack,
        };
        assert_eq!(new.v1, Some(v1));
        let first = read("client_id=c&v=1.9&sub=s").unwrap().v1.unwrap();
        assert_eq!((first.resume, first.encoding), (None, Encoding::Json));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let reason = |text: &str| read(text).unwrap_err().message;
        let key = |key: &str, reason: &str| format!("the websocket's query, key `{key}`: {reason}");
        assert_eq!(reason(""), key("client_id", "it is missing"));
        assert_eq!(reason("client_id="), key("client_id", "a client name must not be empty"));
        assert_eq!(reason("client_id=a&client_id=b"), key("client_id", "it is there twice"));
        assert_eq!(reason("client_id=c&v=1"), key("sub", "it is missing"));
        assert!(reason("client_id=c&v=1&sub=a b").contains("printable"));
        let longest = format!("client_id=c&v=1&sub={}", "x".repeat(128));
        read(&longest).unwrap();
        assert_eq!(
            reason(&format!("{longest}x")),
            key("sub", "a process's id has at most 128 bytes; this one has 129")
        );
        assert!(reason("client_id=c&v=1&sub=s&epoch=e").contains("`epoch` is there"));
        assert!(reason("client_id=c&v=1&sub=s&seq=1").contains("`seq` is there"));
        assert!(reason("client_id=c&v=1&sub=s&epoch=e&seq=-1").contains("not a whole number"));
        assert!(reason("client_id=c&v=1&sub=s&enc=xml").contains("neither"));
    }

    #[test]
    fn other_major_versions_are_refused_naming_both() {
        for version in ["2", "0.9", "2.0", "one", ""] {
            let error = read(&format!("client_id=c&sub=s&v={version}")).unwrap_err();
            assert_eq!(error.code, ErrorCode::VersionMismatch);
            assert_eq!(
                error.message,
                format!("this server speaks protocol 1.0, and the client wants {version}")
            );
        }
    }
}
