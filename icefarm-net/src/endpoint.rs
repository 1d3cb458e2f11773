//! Where a server listens, as people write it.

use crate::authority::{Authority, Host, shown};
use std::fmt;
use std::str::FromStr;

/// The address of a control server or a worker: `http://HOST:PORT`, or `https://HOST:PORT` for TLS.
///
/// ```
/// let endpoint: icefarm_net::Endpoint = "http://[::1]:8080/".parse().unwrap();
/// assert_eq!((endpoint.host(), endpoint.port()), ("::1", 8080));
/// assert_eq!(endpoint.to_string(), "http://[::1]:8080");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// As a resolver takes it.
    host: Box<str>,
    /// As a `Host` header has it.
    authority: Box<str>,
    port: u16,
    secure: bool,
}

impl Endpoint {
    /// The host, without the brackets of IPv6.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the connection is TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The same place without TLS, which is how it is reached below TLS.
    #[must_use]
    pub fn unsecured(&self) -> Self {
        Self { secure: false, ..self.clone() }
    }

    /// The same place with TLS.
    #[must_use]
    pub fn secured(&self) -> Self {
        Self { secure: true, ..self.clone() }
    }

    /// The port; 80 if the text has none, or 443 with TLS.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `HOST:PORT` as it stands in a `Host` header, with brackets around IPv6.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

/// Why a text does not name a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// It is not of the form `http://HOST:PORT`.
    #[error("`{url}` is not an address of the form http://HOST:PORT: {reason}")]
    Malformed {
        /// The text, or the beginning of a long one.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(url: &str) -> Result<Self, EndpointError> {
        let malformed = |reason| EndpointError::Malformed { url: shown(url), reason };
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| malformed("http:// is missing"))?;
        let secure = scheme.eq_ignore_ascii_case("https");
        if !secure && !scheme.eq_ignore_ascii_case("http") {
            return Err(malformed("the scheme is neither http nor https"));
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(malformed("a path has no place in it"));
        }
        let Authority { host, port } = Authority::parse(rest).map_err(malformed)?;
        let usual = if secure { 443 } else { 80 };
        Ok(Self { secure, ..Self::from_parts(&host, port.unwrap_or(usual)) })
    }
}

impl Endpoint {
    fn from_parts(host: &Host, port: u16) -> Self {
        let authority = format!("{host}:{port}").into();
        Self { host: host.to_text().into(), authority, port, secure: false }
    }
}

impl From<std::net::SocketAddr> for Endpoint {
    fn from(address: std::net::SocketAddr) -> Self {
        Self::from_parts(&Host::Ip(address.ip()), address.port())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_not_told_whole() {
        let error = "x".repeat(5000).parse::<Endpoint>().unwrap_err();
        assert!(error.to_string().len() < 400, "{error}");
    }

    #[test]
    fn endpoints_are_read_as_people_write_them() {
        for (text, host, written) in [
            ("http://localhost:8080", "localhost", "http://localhost:8080"),
            ("HTTP://Lab.Example/", "lab.example", "http://lab.example:80"),
            ("http://[::1]:1", "::1", "http://[::1]:1"),
            ("https://farm:8443/", "farm", "https://farm:8443"),
            ("HTTPS://farm", "farm", "https://farm:443"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.host(), host);
            assert_eq!(endpoint.to_string(), written);
        }
        let address: std::net::SocketAddr = "[::1]:5".parse().unwrap();
        assert_eq!(Endpoint::from(address).to_string(), "http://[::1]:5");
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_the_reason() {
        let refused = |text: &str| text.parse::<Endpoint>().unwrap_err().to_string();
        assert_eq!(
            refused("farm:8080"),
            "`farm:8080` is not an address of the form http://HOST:PORT: http:// is missing"
        );
        for text in
            ["ftp://a", "http://", "http://a/b", "http://a?b", "http://u:p@a", "http://a:99999"]
        {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
