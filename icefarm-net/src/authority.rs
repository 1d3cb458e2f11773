//! `host[:port]`, as it stands in URLs, `Host` and `Origin`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host: an address, or a name in lower case without the root's dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Host {
    Ip(IpAddr),
    Name(Box<str>),
}

impl Host {
    /// What a resolver takes: no brackets.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Ip(ip) => ip.to_string(),
            Self::Name(name) => name.to_string(),
        }
    }
}

/// As in a URL: with brackets around IPv6.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// A host, and the port if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authority {
    pub(crate) host: Host,
    pub(crate) port: Option<u16>,
}

impl Authority {
    /// Reads `host`, `host:port`, `1.2.3.4:port` or `[::1]:port`. Whatever a browser, a proxy or
    /// a resolver might read in two ways is refused: user information, escapes, zones, odd
    /// spellings of addresses.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (inside, after) = rest.split_once(']').ok_or("the bracket is not closed")?;
            let ip: Ipv6Addr = inside.parse().map_err(|_| "not an IPv6 address in the brackets")?;
            let port = match after {
                "" => "",
                after => after.strip_prefix(':').ok_or("only a port may follow the bracket")?,
            };
            (Host::Ip(ip.into()), port)
        } else {
            let (host, port) = text.split_once(':').unwrap_or((text, ""));
            (named(host)?, port)
        };
        Ok(Self { host, port: parse_port(port)? })
    }
}

fn parse_port(text: &str) -> Result<Option<u16>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    // `u16::from_str` would take a plus sign.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the port is not a number");
    }
    match text.parse() {
        Ok(0) | Err(_) => Err("the port is not between 1 and 65535"),
        Ok(port) => Ok(Some(port)),
    }
}

fn named(text: &str) -> Result<Host, &'static str> {
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Ip(ip.into()));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() {
        return Err("the host is empty");
    }
    let is_label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(fits)
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err("neither a host name nor an IP address");
    }
    // `127.1`, `0x7f000001` and `127.0.0.1.` are addresses to some and names to others.
    let last = name.rsplit('.').next().unwrap_or(name);
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit())
        || hex.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if numeric {
        return Err("an IPv4 address has four decimal numbers");
    }
    Ok(Host::Name(name.to_ascii_lowercase().into()))
}

/// A text of somebody else's as part of a message: whoever sends a long one gets its beginning.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 200;
    let mut shown: String = text.chars().take(MOST).collect();
    if shown.len() < text.len() {
        shown.push_str("..");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        for (text, host, port) in [
            ("localhost", "localhost", None),
            ("LocalHost.:80", "localhost", Some(80)),
            ("127.0.0.1:8080", "127.0.0.1", Some(8080)),
            ("[::1]", "[::1]", None),
            ("[0:0:0::1]:65535", "[::1]", Some(65535)),
            ("lab_pc-2.example.org:", "lab_pc-2.example.org", None),
        ] {
            let authority = Authority::parse(text).unwrap();
            assert_eq!(
                (authority.host.to_string().as_str(), authority.port),
                (host, port),
                "{text}"
            );
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for text in [
            "",
            ".",
            ":80",
            "a..b",
            "a b",
            "127.0.0.1.",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "::1",
            "[::1",
            "[::1]x",
            "[::1%25eth0]",
            "[127.0.0.1]",
            "a:b",
            "a:+1",
            "a:0",
            "a:65536",
            "a:1:2",
            "user@localhost",
            "localhost@evil.example",
            "a/b",
            "a\\b",
            "a?b",
            "a#b",
            "a%2e",
            "localhost,evil.example",
            "ünicode",
            "localhost\0",
        ] {
            assert!(Authority::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            if let Ok(authority) = Authority::parse(&text) {
                let port = authority.port.map(|port| format!(":{port}")).unwrap_or_default();
                let again = Authority::parse(&format!("{}{port}", authority.host)).unwrap();
                prop_assert_eq!(again, authority);
            }
        }
    }
}
