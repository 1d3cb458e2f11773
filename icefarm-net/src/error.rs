//! Errors as answers.

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use icefarm_core::ArgError;
use icefarm_core::wire::{ErrorBody, ErrorCode, ErrorDetail};
use std::convert::Infallible;
use warp::reject::{
    InvalidHeader, InvalidQuery, LengthRequired, MethodNotAllowed, MissingHeader, PayloadTooLarge,
    Reject, UnsupportedMediaType,
};
use warp::reply::{Reply, Response};
use warp::{Rejection, filters::body::BodyDeserializeError};

/// An error that is answered with its code's status and `{"error": {"code", "message", ..}}`.
///
/// It is a warp rejection and a warp reply. As a rejection it wins over those of other routes.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(transparent)]
pub struct ApiError(pub ErrorDetail);

impl ApiError {
    /// An error without further keys.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(ErrorDetail::new(code, message))
    }
}

impl From<ErrorDetail> for ApiError {
    fn from(detail: ErrorDetail) -> Self {
        Self(detail)
    }
}

/// A key of a body is missing or wrong: `bad_request`.
impl From<ArgError> for ApiError {
    fn from(error: ArgError) -> Self {
        Self::new(ErrorCode::BadRequest, error.to_string())
    }
}

impl Reject for ApiError {}

impl Reply for ApiError {
    fn into_response(self) -> Response {
        error_response(&self.0).map(Into::into)
    }
}

/// The status that goes with an error.
pub(crate) fn status(detail: &ErrorDetail) -> StatusCode {
    StatusCode::from_u16(detail.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

pub(crate) fn error_response(detail: &ErrorDetail) -> http::Response<Bytes> {
    // Serialisation fails only for maps with keys that are not text; there is none in it.
    let body = serde_json::to_vec(&ErrorBody { error: detail.clone() }).unwrap_or_default();
    let mut response = json_response(status(detail), body);
    if detail.code == ErrorCode::Unauthorized {
        let scheme = HeaderValue::from_static("Bearer realm=\"icefarm\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    }
    if let Some(seconds) = detail.details.get("retry_after_s").and_then(|value| value.as_u64()) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Adds the newline that makes JSON pleasant to read in a terminal.
pub(crate) fn json_response(status: StatusCode, mut json: Vec<u8>) -> http::Response<Bytes> {
    json.push(b'\n');
    let mut response = http::Response::new(Bytes::from(json));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    // Nothing that a farm says stays true, and none of it is a page.
    headers.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    headers.insert(http::header::X_CONTENT_TYPE_OPTIONS, http::HeaderValue::from_static("nosniff"));
    response
}

/// Turns whatever no route took into an answer of the same shape as all other errors. For
/// [`Filter::recover`](warp::Filter::recover), at the outermost place.
///
/// # Errors
/// None.
pub async fn recover(rejection: Rejection) -> Result<Response, Infallible> {
    Ok(ApiError(describe(&rejection)).into_response())
}

fn describe(rejection: &Rejection) -> ErrorDetail {
    use ErrorCode::{
        BadRequest, Internal, MethodNotAllowed as NotAllowed, NotFound, TooLarge,
        UnsupportedMediaType as MediaType,
    };
    if let Some(ApiError(detail)) = rejection.find() {
        return detail.clone();
    }
    if rejection.is_not_found() {
        return ErrorDetail::new(NotFound, "there is nothing under this path");
    }
    // The order matters: routes of one path reject for different reasons, and a wrong method is
    // the least that can be said.
    if rejection.find::<PayloadTooLarge>().is_some() {
        return ErrorDetail::new(TooLarge, "the body is larger than this server takes");
    }
    if let Some(error) = rejection.find::<UnsupportedMediaType>() {
        return ErrorDetail::new(MediaType, error.to_string());
    }
    let bad = rejection
        .find::<InvalidQuery>()
        .map(ToString::to_string)
        .or_else(|| rejection.find::<MissingHeader>().map(ToString::to_string))
        .or_else(|| rejection.find::<InvalidHeader>().map(ToString::to_string))
        .or_else(|| rejection.find::<LengthRequired>().map(ToString::to_string))
        .or_else(|| rejection.find::<BodyDeserializeError>().map(ToString::to_string));
    if let Some(message) = bad {
        return ErrorDetail::new(BadRequest, message);
    }
    if rejection.find::<crate::upgrade::NotAnUpgrade>().is_some() {
        let message = "this path takes websockets: the request asks for no upgrade to one";
        return ErrorDetail::new(BadRequest, message);
    }
    if rejection.find::<MethodNotAllowed>().is_some() {
        return ErrorDetail::new(NotAllowed, "this path does not take this method");
    }
    tracing::error!(?rejection, "a request was rejected for a reason that has no answer");
    ErrorDetail::new(Internal, "the server failed; its log says more")
}
