//! Answers of requests.

use crate::error::{ApiError, json_response};
use http::header::{ACCEPT, HeaderMap};
use icefarm_core::wire::{ErrorCode, V1_JSON};
use serde::Serialize;
use std::convert::Infallible;
use warp::Filter;
use warp::http::StatusCode;
use warp::reply::{Reply, Response};

/// Answers 200 with `value` as JSON.
pub fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(json) => json_response(StatusCode::OK, json).map(Into::into),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON");
            let message = "the server failed; its log says more";
            ApiError::new(ErrorCode::Internal, message).into_response()
        }
    }
}

/// Answers a result: 200 with the value as JSON, or the error with its status.
///
/// A handler that ends with it, instead of rejecting, keeps warp from trying further routes.
///
/// ```
/// use icefarm_core::wire::ErrorCode;
/// use icefarm_net::{ApiError, answer};
///
/// let none: Result<u32, _> = Err(ApiError::new(ErrorCode::NotEnoughDevices, "2 wanted, 1 free"));
/// assert_eq!(answer(none).status(), 409);
/// ```
pub fn answer<T: Serialize>(result: Result<T, impl Into<ApiError>>) -> Response {
    match result {
        Ok(value) => json(&value),
        Err(error) => error.into().into_response(),
    }
}

/// Whether the client asks for the full answers of version 1: its `Accept` names
/// [`V1_JSON`].
pub fn wants_v1() -> impl Filter<Extract = (bool,), Error = Infallible> + Clone + Send + Sync {
    warp::header::headers_cloned().map(|headers: HeaderMap| accepts_v1(&headers))
}

fn accepts_v1(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(V1_JSON));
        // A quality of zero means: anything but this.
        let zero = |part: &str| {
            let quality = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            quality.is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q == 0.0))
        };
        named && !parts.any(zero)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_is_asked_for_by_name() {
        let asks =
            |value: &str| accepts_v1(&HeaderMap::from_iter([(ACCEPT, value.parse().unwrap())]));
        assert!(asks(V1_JSON));
        assert!(asks(&format!("text/html, {};q=0.5, */*", V1_JSON.to_uppercase())));
        assert!(!asks("application/json"));
        assert!(!asks("*/*"));
        assert!(!asks(&format!("{V1_JSON};q=0.0")));
        assert!(!accepts_v1(&HeaderMap::new()));
    }
}
