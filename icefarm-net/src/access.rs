//! Who sends a request: decided at one place, before any route sees it.

use http::HeaderMap;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use http::request::Parts;
use icefarm_core::wire::{ErrorCode, ErrorDetail};
use std::fmt;
use std::net::SocketAddr;

/// Decides about every request and every websocket whether it is taken at all, and notes in its
/// extensions who sends it, for the routes to ask.
///
/// A server has one in [`ServeOptions::access`](crate::ServeOptions::access). Without one everybody
/// who passes the [`Guard`](crate::Guard) is let in.
///
/// ```
/// use http::request::Parts;
/// use icefarm_core::wire::{ErrorCode, ErrorDetail};
/// use icefarm_net::{Access, Denial, Secret, bearer};
/// use std::net::SocketAddr;
///
/// #[derive(Debug)]
/// struct OnePassword(Secret);
///
/// impl Access for OnePassword {
///     fn admit(&self, request: &mut Parts, _: SocketAddr) -> Result<(), Denial> {
///         match bearer(&request.headers)? {
///             Some(shown) if self.0.is(shown) => Ok(()),
///             _ => Err(ErrorDetail::new(ErrorCode::Unauthorized, "say the password").into()),
///         }
///     }
/// }
/// ```
pub trait Access: fmt::Debug + Send + Sync + 'static {
    /// Decides about a request.
    ///
    /// # Errors
    /// [`Denial`] is the answer then. `unauthorized` goes out with a `WWW-Authenticate` header.
    fn admit(&self, request: &mut Parts, peer: SocketAddr) -> Result<(), Denial>;
}

/// The answer to a request that is not let in.
#[derive(Debug, Clone, PartialEq)]
pub struct Denial {
    /// Why not, and what to do.
    pub detail: ErrorDetail,
    /// Where a browser is sent instead, as a path of this server.
    pub location: Option<&'static str>,
}

impl From<ErrorDetail> for Denial {
    fn from(detail: ErrorDetail) -> Self {
        Self { detail, location: None }
    }
}

/// The bearer token of a request, if it has one.
///
/// # Errors
/// `bad_request` if there are several `Authorization` headers, of which somebody before us may
/// have looked at another one; `unauthorized` for another scheme.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ErrorDetail> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        let message = "the authorization header is there more than once";
        return Err(ErrorDetail::new(ErrorCode::BadRequest, message));
    }
    let token = value.to_str().ok().and_then(of_bearer);
    token.map(Some).ok_or_else(|| {
        let message = "the authorization header is not of the form `Bearer TOKEN`";
        ErrorDetail::new(ErrorCode::Unauthorized, message)
    })
}

fn of_bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The value of a cookie, if it is there once.
#[must_use]
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(http::header::COOKIE).iter();
    let pairs = values.filter_map(|value: &HeaderValue| value.to_str().ok());
    let mut found = pairs.flat_map(|value| value.split(';')).filter_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    });
    // Two of one name: one of them was set by a page that we do not know.
    found.next().filter(|_| found.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_bearer_token_is_there_once_or_not_at_all() {
        assert_eq!(bearer(&headers(&[])), Ok(None));
        assert_eq!(bearer(&headers(&["bearer  t "])), Ok(Some("t")));
        for wrong in ["Bearer", "Bearer ", "Basic eDp5", "t", ""] {
            let error = bearer(&headers(&[wrong])).unwrap_err();
            assert_eq!(error.code, ErrorCode::Unauthorized, "{wrong}");
        }
        let error = bearer(&headers(&["Bearer a", "Bearer b"])).unwrap_err();
        assert_eq!(error.code, ErrorCode::BadRequest);
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append("cookie", HeaderValue::from_static("a=1; s=2=3; ss=4"));
        assert_eq!(cookie(&headers, "s"), Some("2=3"));
        assert_eq!(cookie(&headers, "x"), None);
        headers.append("cookie", HeaderValue::from_static("s=5"));
        assert_eq!(cookie(&headers, "s"), None, "nobody knows which one is ours");
    }
}
