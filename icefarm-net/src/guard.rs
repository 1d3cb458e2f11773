//! Which requests a server takes at all: no page of a browser may reach a farm on the loopback.

use crate::authority::{Authority, Host, shown};
use crate::transport::Secured;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use http::request::Parts;
use icefarm_core::wire::{ErrorCode, ErrorDetail};
use std::collections::BTreeSet;

/// Checks `Host` and `Origin` of every request, websocket upgrades included.
///
/// *DNS rebinding*: a page of `evil.example` can make that name point to this machine, and the
/// browser then lets it read our answers. It cannot change the `Host` header, which is the name.
/// So requests must come under an IP address, `localhost`, or a name that the operator allowed.
///
/// *Foreign pages*: browsers send `Origin` with every websocket upgrade and with every request of
/// a page that could do harm. It must be the server's own.
///
/// ```
/// use http::Request;
/// use icefarm_net::Guard;
///
/// let guard = Guard::default().allow_host("farm.lab.example").unwrap();
/// let check = |host: &str| {
///     let (parts, ()) = Request::get("/devices").header("host", host).body(()).unwrap().into_parts();
///     guard.check(&parts).is_ok()
/// };
/// assert!(check("127.0.0.1:8080") && check("localhost:8080") && check("farm.lab.example"));
/// assert!(!check("evil.example"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Guard {
    names: BTreeSet<Box<str>>,
}

/// A name that cannot be allowed, because it is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` cannot be allowed as a host name: {reason}")]
pub struct HostNameError {
    name: String,
    reason: &'static str,
}

impl Guard {
    /// Takes requests under the host name `name` too, on any port.
    ///
    /// # Errors
    /// If it is no host name; a port does not belong to it.
    pub fn allow_host(mut self, name: &str) -> Result<Self, HostNameError> {
        let refuse = |reason| HostNameError { name: shown(name), reason };
        let authority = Authority::parse(name).map_err(refuse)?;
        if name.ends_with(':') || authority.port.is_some() {
            return Err(refuse("give the name without a port"));
        }
        // Addresses need no permission.
        if let Host::Name(name) = authority.host {
            self.names.insert(name);
        }
        Ok(self)
    }

    /// Decides whether a request may be served.
    ///
    /// # Errors
    /// `bad_request` if `Host` is missing or cannot be read, `forbidden` if this server does not
    /// go by it, or the request comes from a page of another origin.
    pub fn check(&self, request: &Parts) -> Result<(), ErrorDetail> {
        let host = only(&request.headers, &HOST)?
            .ok_or_else(|| bad("the Host header is missing".to_owned()))?;
        let own = read("Host", host)?;
        // `GET http://name/path`, as sent to proxies. RFC 9112 lets the target win over `Host`; we
        // take no such request unless they agree.
        if let Some(target) = request.uri.authority()
            && Authority::parse(target.as_str()).ok().as_ref() != Some(&own)
        {
            return Err(bad("the Host header differs from the request's target".to_owned()));
        }
        if let Host::Name(name) = &own.host
            && **name != *"localhost"
            && !self.names.contains(name)
        {
            let message = format!(
                "this server does not go by the name `{name}`: use its IP address, or allow the \
                 name in its configuration"
            );
            return Err(ErrorDetail::new(ErrorCode::Forbidden, message));
        }
        match only(&request.headers, &ORIGIN)? {
            Some(origin) if !is_own(origin, &own, request.extensions.get()) => {
                let origin = String::from_utf8_lossy(origin.as_bytes());
                let message = format!(
                    "pages of `{}` must not use this server",
                    origin.escape_debug().take(100).collect::<String>()
                );
                Err(ErrorDetail::new(ErrorCode::Forbidden, message))
            }
            _ => Ok(()),
        }
    }
}

/// The header, if it is there once. Twice, somebody before us may have looked at the other one.
fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, ErrorDetail> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(bad(format!("the {name} header is there more than once")));
    }
    Ok(first)
}

fn read(name: &str, value: &HeaderValue) -> Result<Authority, ErrorDetail> {
    let text = value.to_str().map_err(|_| bad(format!("the {name} header is not plain text")))?;
    Authority::parse(text).map_err(|reason| bad(format!("the {name} header: {reason}")))
}

fn bad(message: String) -> ErrorDetail {
    ErrorDetail::new(ErrorCode::BadRequest, message)
}

/// Whether an `Origin` is ours. `null`, which sandboxed pages and files send, is nobody's. Over TLS
/// no page is ours that came without: anybody between may have written that. The other way round a
/// proxy may speak TLS for us.
fn is_own(origin: &HeaderValue, own: &Authority, secured: Option<&Secured>) -> bool {
    let Some((scheme, rest)) = origin.to_str().ok().and_then(|text| text.split_once("://")) else {
        return false;
    };
    if secured.is_some() && scheme != "https" {
        return false;
    }
    // Browsers leave the scheme's usual port out, in both headers.
    let usual = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let port = |authority: &Authority| authority.port.unwrap_or(usual);
    Authority::parse(rest).is_ok_and(|page| page.host == own.host && port(&page) == port(own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn check(target: &str, headers: &[(&str, &str)]) -> Result<(), ErrorCode> {
        let guard = Guard::default().allow_host("Farm.Example.").unwrap();
        let mut request = Request::get(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        guard.check(&parts).map_err(|error| error.code)
    }

    fn host(value: &str) -> Result<(), ErrorCode> {
        check("/", &[("host", value)])
    }

    #[test]
    fn only_names_that_cannot_be_rebound_are_served() {
        for ok in [
            "127.0.0.1",
            "192.168.1.7:8080",
            "[::1]:8080",
            "[fe80::1]",
            "LOCALHOST:1",
            "localhost.",
            "farm.example",
            "FARM.EXAMPLE.:8080",
        ] {
            assert_eq!(host(ok), Ok(()), "{ok}");
        }
        for foreign in [
            "evil.example",
            "farm.example.evil.example",
            "xfarm.example",
            "localhost.evil.example",
            "a.localhost",
            "127.0.0.1.nip.io",
        ] {
            assert_eq!(host(foreign), Err(ErrorCode::Forbidden), "{foreign}");
        }
        for broken in [
            "",
            "127.0.0.1.",
            "0x7f.1",
            "user@localhost",
            "localhost evil.example",
            "localhost:x",
            "[::1",
            "localhost:1:2",
            "localhost/evil.example",
        ] {
            assert_eq!(host(broken), Err(ErrorCode::BadRequest), "{broken}");
        }
    }

    #[test]
    fn the_host_must_be_there_once_and_agree_with_the_target() {
        assert_eq!(check("/", &[]), Err(ErrorCode::BadRequest));
        let twice = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(check("/", &twice), Err(ErrorCode::BadRequest));
        assert_eq!(check("http://localhost:80/", &[("host", "localhost:80")]), Ok(()));
        for target in ["http://evil.example/", "http://x@localhost/"] {
            assert_eq!(check(target, &[("host", "localhost")]), Err(ErrorCode::BadRequest));
        }
    }

    #[test]
    fn over_tls_no_page_is_ours_that_came_without() {
        let from = |origin: &str| {
            let request = Request::get("/").header("host", "farm.example:8443");
            let request = request.header("origin", origin).extension(Secured);
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let guard = Guard::default().allow_host("farm.example").unwrap();
            guard.check(&parts).map_err(|error| error.code)
        };
        assert_eq!(from("https://farm.example:8443"), Ok(()));
        assert_eq!(from("http://farm.example:8443"), Err(ErrorCode::Forbidden));
    }

    #[test]
    fn an_origin_must_be_our_own() {
        let from = |host, origin| check("/ws", &[("host", host), ("origin", origin)]);
        for (host, origin) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("localhost", "http://localhost"),
            ("localhost", "http://localhost:80"),
            ("farm.example", "https://farm.example"),
            ("farm.example:443", "https://farm.example"),
            ("[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(from(host, origin), Ok(()), "{origin} at {host}");
        }
        for origin in [
            "null",
            "",
            "http://evil.example",
            "http://127.0.0.1",
            "http://127.0.0.1:3000",
            "http://localhost:8080",
            "file://127.0.0.1:8080",
            "http://127.0.0.1:8080/x",
            "http://127.0.0.1:8080@evil.example",
            "http://127.0.0.1:8080 http://evil.example",
        ] {
            assert_eq!(from("127.0.0.1:8080", origin), Err(ErrorCode::Forbidden), "{origin}");
        }
        let twice = [
            ("host", "localhost"),
            ("origin", "http://localhost"),
            ("origin", "http://evil.example"),
        ];
        assert_eq!(check("/", &twice), Err(ErrorCode::BadRequest));
    }

    #[test]
    fn only_plain_host_names_are_allowed() {
        for name in ["", "a:80", "a:", "http://a", "*.example"] {
            assert!(Guard::default().allow_host(name).is_err(), "{name}");
        }
    }
}
