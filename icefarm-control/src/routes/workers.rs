//! What workers call: to register, and to report their boards.

use super::permit::{Asker, Deed, asker};
use super::{Context, needed};
use crate::machine::{Answer, Command, Refusal, Worker, millis};
use icefarm_core::wire::{
    BoardsReport, ErrorCode, Registration, RegistrationAnswer, SECRET_HEADER,
};
use icefarm_core::{Args, Object, Value};
use icefarm_net::{ApiError, Endpoint, Peer, Secret, answer};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let body = || icefarm_net::object(context.body.clone());
    let register = warp::path!("worker" / "register")
        .and(warp::post())
        .and(asker(context))
        .and(body())
        .then(|asker: Asker, body| async move { answer(register(&asker, body).await) });
    let boards = warp::path!("worker" / "boards")
        .and(warp::post())
        .and(asker(context))
        .and(warp::header::optional::<String>("authorization"))
        .and(warp::header::optional::<String>(SECRET_HEADER))
        .and(body())
        .then(|asker: Asker, bearer: Option<String>, secret: Option<String>, body| async move {
            // Where a token takes the bearer's place, the secret has a header of its own.
            let bearer = bearer.as_deref().and_then(|shown| shown.strip_prefix("Bearer "));
            let shown = secret.as_deref().or(bearer).map(str::trim);
            answer(report(&asker, shown, body).await)
        });
    register.or(boards).unify().boxed()
}

fn decode<T: DeserializeOwned>(body: Option<Object>) -> Result<T, ApiError> {
    needed(body.as_ref().map(|_| Args::default()))?;
    T::deserialize(Value::Object(body.unwrap_or_default())).map_err(|error| {
        ApiError::new(ErrorCode::BadRequest, format!("the body is wrong: {error}"))
    })
}

async fn register(asker: &Asker, body: Option<Object>) -> Result<RegistrationAnswer, ApiError> {
    let registration: Registration = decode(body)?;
    let trail = asker.trail("register_worker").worker(&registration.name);
    asker.permit(Deed::Serve(&registration.name), &trail).await?;
    let endpoint = address(&registration, asker.peer())?;
    let farm = asker.ledger.farm();
    asker.fleet.vouch(&farm, &registration, &endpoint).await.map_err(ApiError)?;
    let url = endpoint.to_string();
    let command = Command::Register { registration: Box::new(registration), url: url.clone() };
    asker.submit_for(command, trail).await?;
    let news = Some(asker.news());
    Ok(RegistrationAnswer { url, heartbeat_ms: millis(asker.heartbeat), news })
}

/// Where the worker is reached: where it says, or else where it was seen.
fn address(registration: &Registration, peer: Option<Peer>) -> Result<Endpoint, ApiError> {
    if let Some(url) = &registration.url {
        return url
            .parse()
            .map_err(|error| ApiError::new(ErrorCode::BadRequest, format!("`url`: {error}")));
    }
    let Some(Peer(peer)) = peer else {
        let message = "`url` is missing, and it is not known where the request came from";
        return Err(ApiError::new(ErrorCode::BadRequest, message));
    };
    // A listener for IPv6 sees IPv4 addresses in a disguise that clients could not use.
    Ok(Endpoint::from(SocketAddr::new(peer.ip().to_canonical(), registration.port)))
}

async fn report(
    asker: &Asker,
    shown: Option<&str>,
    body: Option<Object>,
) -> Result<serde_json::Value, ApiError> {
    let BoardsReport { worker, incarnation, boards, gone, stops_in_ms, left } = decode(body)?;
    asker.check(Deed::Serve(&worker))?;
    let farm = asker.ledger.farm();
    let Some(known) = farm.workers.get(&worker) else {
        return Err(ApiError(Refusal::UnknownWorker { worker }.detail()));
    };
    if !shown.is_some_and(|shown| is_shown(known, shown)) {
        let message = format!("what was shown is not the secret that `{worker}` registered with");
        return Err(ApiError::new(ErrorCode::Unauthorized, message));
    }
    let report =
        Command::Report { worker: worker.clone(), incarnation: incarnation.clone(), boards, gone };
    let reported = asker.submit(report).await?;
    if left {
        asker.submit(Command::Leave { worker, incarnation }).await?;
    } else if let Some(ms) = stops_in_ms {
        let within = Duration::from_millis(ms);
        asker.submit(Command::Stops { worker, incarnation, within }).await?;
    }
    match reported {
        Answer::Reported { refused } => Ok(json!({ "refused": refused })),
        _ => Ok(json!({})),
    }
}

/// Whether the worker's secret was shown. How long it takes says nothing about where it differs.
fn is_shown(worker: &Worker, shown: &str) -> bool {
    Secret::new(&worker.secret.0).is(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::lab::{Lab, registration};

    #[test]
    fn a_worker_is_where_it_says_or_where_it_was_seen() {
        let mut worker = registration("w", "w1", vec![]);
        let seen = |text: &str| Some(Peer(text.parse().unwrap()));
        let url = |worker: &Registration, peer| {
            address(worker, peer).map(|endpoint| endpoint.to_string()).map_err(|e| e.to_string())
        };
        assert_eq!(url(&worker, seen("10.0.0.7:50000")).unwrap(), "http://10.0.0.7:8081");
        assert_eq!(url(&worker, seen("[::ffff:10.0.0.7]:5")).unwrap(), "http://10.0.0.7:8081");
        assert_eq!(url(&worker, seen("[::1]:5")).unwrap(), "http://[::1]:8081");
        assert!(url(&worker, None).is_err());
        worker.url = Some("http://lab.example/".into());
        assert_eq!(url(&worker, None).unwrap(), "http://lab.example:80");
        worker.url = Some("lab.example".into());
        assert!(url(&worker, None).unwrap_err().starts_with("`url`"));
    }

    #[test]
    fn the_secret_must_be_shown_exactly() {
        let lab = Lab::with(&[]);
        let worker = &lab.farm.workers["w"];
        assert!(is_shown(worker, "secret of w1"));
        for wrong in ["", "Bearer secret of w1", "secret of w", "secret of w11"] {
            assert!(!is_shown(worker, wrong), "{wrong}");
        }
    }
}
