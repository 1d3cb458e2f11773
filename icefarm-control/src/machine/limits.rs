//! What clients may have at most, by the farm's configuration.

use super::refusal::some_time;
use super::{Farm, Refusal, Rules, queue, share};
use icefarm_core::ClientName;
use icefarm_core::wire::ReserveRequest;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Names of clients: one name, or with `*`, which stands for any text, all that are like it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(String);

impl NamePattern {
    /// Whether a name is one of these.
    #[must_use]
    pub fn matches(&self, name: &ClientName) -> bool {
        let (name, mut parts) = (name.as_str(), self.0.split('*'));
        let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else {
            return false;
        };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What clients of some names may have at most. What is absent is not limited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientLimit {
    /// Whose limit it is. Of several the first that matches counts.
    pub names: NamePattern,
    /// How many boards they hold at a time, each name for itself.
    pub boards: Option<u32>,
    /// How long their leases last without being extended.
    pub ttl: Option<Duration>,
    /// The highest priority that their requests have while they wait.
    pub priority: Option<i32>,
}

/// Why a text is no [`ClientLimit`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no limit: {reason}; write NAMES:boards=N,ttl=SECONDS,priority=N with one or more \
     of the three, as in `alice-*:boards=4,ttl=3600`"
)]
pub struct LimitError {
    text: String,
    reason: String,
}

/// Reads `NAMES:boards=N,ttl=SECONDS,priority=N`.
impl FromStr for ClientLimit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let wrong = |reason: String| LimitError { text: text.to_owned(), reason };
        let (names, list) =
            text.rsplit_once(':').ok_or_else(|| wrong("it has no `:`".to_owned()))?;
        if names.is_empty() {
            return Err(wrong("it names nobody".to_owned()));
        }
        let mut limit =
            Self { names: NamePattern(names.to_owned()), boards: None, ttl: None, priority: None };
        for pair in list.split(',') {
            let (key, value) =
                pair.split_once('=').ok_or_else(|| wrong(format!("`{pair}` is not KEY=VALUE")))?;
            let number = |error: std::num::ParseIntError| wrong(format!("`{pair}`: {error}"));
            match key.trim() {
                "boards" => limit.boards = Some(value.trim().parse().map_err(number)?),
                "priority" => limit.priority = Some(value.trim().parse().map_err(number)?),
                "ttl" => {
                    let seconds: u32 = value.trim().parse().map_err(number)?;
                    if seconds == 0 {
                        return Err(wrong("no lease lasts 0 seconds".to_owned()));
                    }
                    limit.ttl = Some(Duration::from_secs(seconds.into()));
                }
                other => return Err(wrong(format!("nothing called `{other}` can be limited"))),
            }
        }
        Ok(limit)
    }
}

/// A limit that a request goes beyond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitedBy {
    /// Whose limit it is.
    pub names: NamePattern,
    /// What is limited.
    pub excess: Excess,
}

/// What a request has too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Boards at a time.
    Boards {
        /// How many it wants.
        wanted: u32,
        /// How many its client has.
        held: u32,
        /// How many a client may have.
        limit: u32,
    },
    /// Time, in seconds.
    Ttl {
        /// How much it wants.
        wanted_s: u32,
        /// How much it may have.
        limit_s: u64,
    },
    /// Priority.
    Priority {
        /// What it wants.
        wanted: i32,
        /// What it may have.
        limit: i32,
    },
}

impl fmt::Display for LimitedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.excess {
            Excess::Boards { wanted, held: 0, limit } => {
                write!(f, "{wanted} boards were asked for, and a client may hold {limit}")?;
            }
            Excess::Boards { wanted, held, limit } => write!(
                f,
                "{wanted} more boards were asked for by one who holds {held}, and a client may \
                 hold {limit}"
            )?,
            Excess::Ttl { wanted_s, limit_s } => {
                write!(f, "a lease of {wanted_s} s was asked for, and one may last {limit_s} s")?;
            }
            Excess::Priority { wanted, limit } => {
                write!(f, "priority {wanted} was asked for, and {limit} is the highest allowed")?;
            }
        }
        write!(f, " by the farm's limit for `{}`", self.names)
    }
}

impl Rules {
    /// The limit of a client, if it has one.
    #[must_use]
    pub fn limit_of(&self, client: &ClientName) -> Option<&ClientLimit> {
        self.limits.iter().find(|limit| limit.names.matches(client))
    }
}

fn refuse(limit: &ClientLimit, excess: Excess) -> Refusal {
    Refusal::Limited(LimitedBy { names: limit.names.clone(), excess })
}

/// Checks what no waiting changes.
pub(super) fn check(farm: &Farm, ask: &ReserveRequest) -> Result<(), Refusal> {
    if let Some(seconds) = ask.ttl_s {
        some_time(Duration::from_secs(seconds.into()))?;
    }
    let Some(limit) = farm.rules.limit_of(&ask.name) else { return Ok(()) };
    let wanted = queue::count(share::amount(ask));
    if let Some(most) = limit.boards.filter(|most| wanted > *most) {
        return Err(refuse(limit, Excess::Boards { wanted, held: 0, limit: most }));
    }
    let most = limit.ttl.map(|ttl| ttl.as_secs());
    if let (Some(wanted_s), Some(limit_s)) = (ask.ttl_s, most)
        && u64::from(wanted_s) > limit_s
    {
        return Err(refuse(limit, Excess::Ttl { wanted_s, limit_s }));
    }
    let wanted = ask.priority.unwrap_or(0);
    if let Some(most) = limit.priority.filter(|most| wanted > *most && ask.priority.is_some()) {
        return Err(refuse(limit, Excess::Priority { wanted, limit: most }));
    }
    Ok(())
}

/// Checks that a client who is about to be granted `more` boards may have these besides.
pub(super) fn check_held(farm: &Farm, ask: &ReserveRequest, more: u32) -> Result<(), Refusal> {
    let Some(limit) = farm.rules.limit_of(&ask.name) else { return Ok(()) };
    let Some(most) = limit.boards else { return Ok(()) };
    let held = farm.leases.values().filter(|lease| lease.client == ask.name).count();
    let held = queue::count(held).saturating_add(more);
    let wanted = queue::count(share::amount(ask));
    if held.saturating_add(wanted) > most {
        return Err(refuse(limit, Excess::Boards { wanted, held, limit: most }));
    }
    Ok(())
}

/// How long the leases of a request last.
pub(super) fn ttl(farm: &Farm, ask: &ReserveRequest) -> Duration {
    let rules = &farm.rules;
    let wanted = ask.ttl_s.map_or(rules.default_ttl, |seconds| Duration::from_secs(seconds.into()));
    let own = rules.limit_of(&ask.name).and_then(|limit| limit.ttl);
    rules.max_ttl.into_iter().chain(own).fold(wanted, Duration::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        let limit: ClientLimit = "alice-*:boards=4,ttl=60,priority=-1".parse().unwrap();
        assert_eq!((limit.boards, limit.priority), (Some(4), Some(-1)));
        assert_eq!(limit.ttl, Some(Duration::from_secs(60)));
        assert!("a:b@host:boards=1".parse::<ClientLimit>().unwrap().names.0 == "a:b@host");
        for (text, part) in [
            ("alice", "no `:`"),
            (":boards=1", "names nobody"),
            ("a:boards", "not KEY=VALUE"),
            ("a:boards=x", "invalid digit"),
            ("a:ttl=0", "0 seconds"),
            ("a:disk=1", "`disk`"),
        ] {
            let error = text.parse::<ClientLimit>().unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("boards=4,ttl=3600"), "{error}");
        }
    }

    #[test]
    fn a_star_stands_for_any_text() {
        let matches = |pattern: &str, name: &str| {
            NamePattern(pattern.to_owned()).matches(&name.parse().unwrap())
        };
        for (pattern, name) in
            [("*", "x"), ("a*", "a"), ("a-*", "a-b"), ("*@h", "u@h"), ("a*b*c", "abbc"), ("a", "a")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("a", "ab"), ("a-*", "ab"), ("*@h", "u@hx"), ("a*a", "a"), ("a*b*c", "acb")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
