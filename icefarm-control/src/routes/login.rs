//! `/login` and `/logout`: how a browser gets to the panel of a farm that asks for tokens.

use super::Context;
use super::markup::{Html, fill};
use super::panel::guarded;
use super::permit::{Asker, Deed, asker};
use crate::access::{LASTS, SESSION_COOKIE};
use bytes::Bytes;
use icefarm_core::wire::{ErrorCode, ErrorDetail};
use icefarm_net::{BodyLimits, Peer, Secured, Token};
use percent_encoding::percent_decode_str;
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::header::{HeaderValue, LOCATION, SET_COOKIE};
use warp::http::{HeaderMap, StatusCode};
use warp::reply::{Reply, Response};

const PAGE: &str = include_str!("../../assets/login.html");

/// A form with one token in it is much smaller.
const FORM: usize = 4096;

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let show = warp::path!("login")
        .and(warp::get())
        .and(asker(context))
        // Who is in already, or needs no token, has nothing to do here.
        .map(|asker: Asker| match asker.check(Deed::Operate) {
            Ok(()) => to("/"),
            Err(_) => page(None),
        });
    let login = warp::path!("login")
        .and(warp::post())
        .and(asker(context))
        .and(warp::ext::optional::<Secured>())
        .and(warp::header::headers_cloned())
        .and(icefarm_net::bytes(BodyLimits::default().bytes(FORM)))
        .then(
            |asker: Asker, secured: Option<Secured>, headers: HeaderMap, body: Bytes| async move {
                login(&asker, secured.is_some(), &headers, &body).await
            },
        );
    let logout = warp::path!("logout").and(warp::post()).and(asker(context)).then(logout);
    show.or(login).unify().or(logout).unify().boxed()
}

async fn login(asker: &Asker, secured: bool, headers: &HeaderMap, body: &[u8]) -> Response {
    let is_form = headers
        .get("content-type")
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    let shown = token_of(body).filter(|_| is_form);
    let (Some(shown), Some(Peer(peer))) = (shown, asker.peer()) else {
        let message = "the form was not understood; type the token again";
        return page(Some(&ErrorDetail::new(ErrorCode::BadRequest, message)));
    };
    let identity = match asker.gate.check(shown.trim(), peer) {
        Ok(identity) => identity,
        Err(mut error) => {
            // The advice for programs is of no use on a page.
            if let Some((what, _)) = error.message.clone().split_once(';') {
                what.clone_into(&mut error.message);
            }
            return page(Some(&error));
        }
    };
    let asker = asker.clone().with(identity);
    let trail = asker.trail("login");
    if let Err(error) = asker.permit(Deed::Operate, &trail).await {
        return page(Some(&error.0));
    }
    let Some(token) = asker.token() else { return to("/") };
    let chance = [(asker.ids)(), (asker.ids)(), (asker.ids)()];
    let name = Token::of_chance(chance.iter().map(String::as_str));
    asker.sessions.begin(token.id.clone(), &name, asker.ledger.now());
    // What cannot be written down stands in the log, and nobody is kept out for it.
    let _ = asker.ledger.audit(trail).await;
    let mut response = to("/");
    set_cookie(&mut response, name.as_str(), LASTS.as_secs(), secured);
    response
}

async fn logout(asker: Asker) -> Response {
    let mut response = to("/login");
    if let Ok(identity) = asker.identity()
        && let Some(session) = identity.session()
    {
        asker.sessions.end(session);
        let _ = asker.ledger.audit(asker.trail("logout")).await;
    }
    set_cookie(&mut response, "", 0, false);
    response
}

/// The token in a form.
fn token_of(body: &[u8]) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let value = body.split('&').find_map(|pair| pair.strip_prefix("token="))?;
    // A token has no spaces, which is all that a plus sign could stand for.
    percent_decode_str(value).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

fn to(path: &'static str) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, HeaderValue::from_static(path));
    response
}

/// No script of any page sees the cookie, and no page of another site has it sent.
fn set_cookie(response: &mut Response, value: &str, seconds: u64, secured: bool) {
    let secure = if secured { "; Secure" } else { "" };
    let cookie = format!(
        "{SESSION_COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    );
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
}

fn page(trouble: Option<&ErrorDetail>) -> Response {
    let page = fill(PAGE, |name| match name {
        "no-trouble" => Some(if trouble.is_none() { " hidden" } else { "" }.to_owned()),
        "trouble" => {
            let mut html = Html::default();
            html.text(trouble.map_or("", |error| &error.message));
            Some(html.0)
        }
        _ => None,
    });
    let mut response = guarded(warp::reply::html(page).into_response(), "form-action 'self'");
    if let Some(error) = trouble {
        *response.status_mut() =
            StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_in_a_form() {
        assert_eq!(token_of(b"token=a%5Fb"), Some("a_b".into()));
        assert_eq!(token_of(b"x=y&token=t"), Some("t".into()));
        for none in [&b""[..], b"tok=a", b"token", b"\xff", b"token=%ff"] {
            assert_eq!(token_of(none), None);
        }
    }

    #[tokio::test]
    async fn what_is_wrong_is_said_without_trust() {
        let error = ErrorDetail::new(ErrorCode::Unauthorized, "<script>");
        let response = page(Some(&error));
        assert_eq!(response.status(), 401);
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("form-action 'self'") && policy.contains("default-src 'none'"));
    }
}
