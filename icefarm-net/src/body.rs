//! Bodies of requests.

use crate::codec::{CodecLimits, Encoding, decode_value};
use crate::error::ApiError;
use bytes::{Buf, BufMut as _, Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use icefarm_core::wire::ErrorCode;
use icefarm_core::{Args, Object, Value};
use std::pin::pin;
use std::time::Duration;
use warp::{Filter, Rejection};

/// What a body may cost.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BodyLimits {
    /// How many bytes it may have. 1 MiB unless changed.
    pub bytes: usize,
    /// How long it may take to arrive. 30 s unless changed.
    pub time: Duration,
    /// What reading it may cost beyond that.
    pub codec: CodecLimits,
}

impl Default for BodyLimits {
    fn default() -> Self {
        let codec = CodecLimits::default();
        Self { bytes: 1 << 20, time: Duration::from_secs(30), codec }
    }
}

impl BodyLimits {
    /// The same with another number of bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }
}

/// The request's body as an object; `None` if there is no body.
///
/// It is JSON (`application/json`) or MessagePack (`application/msgpack`,
/// `application/x-msgpack`), whatever the method: the Python clients send `GET` with a body. No
/// other media type is taken, and none is guessed, because a browser's page can send any body
/// under a few harmless ones without asking.
///
/// Rejects with [`ApiError`]: `unsupported_media_type`, `too_large`, or `bad_request`, which says
/// where the body is wrong.
pub fn object(
    limits: BodyLimits,
) -> impl Filter<Extract = (Option<Object>,), Error = Rejection> + Clone + Send + Sync + 'static {
    warp::header::headers_cloned().and(warp::body::stream()).and_then(
        move |headers: HeaderMap, body| {
            let limits = limits.clone();
            async move { read(&headers, body, &limits).await.map_err(warp::reject::custom) }
        },
    )
}

/// The request's body as it is, whatever its media type; empty if there is none.
///
/// Rejects with [`ApiError`]: `too_large`, or `bad_request` if it does not arrive.
pub fn bytes(
    limits: BodyLimits,
) -> impl Filter<Extract = (Bytes,), Error = Rejection> + Clone + Send + Sync + 'static {
    warp::header::headers_cloned().and(warp::body::stream()).and_then(
        move |headers: HeaderMap, body| {
            let limits = limits.clone();
            async move { arrive(&headers, body, &limits).await.map_err(warp::reject::custom) }
        },
    )
}

/// As [`object`], ready to be read key by key.
pub fn args(
    limits: BodyLimits,
) -> impl Filter<Extract = (Option<Args>,), Error = Rejection> + Clone + Send + Sync + 'static {
    object(limits).map(|object: Option<Object>| object.map(Args::new))
}

async fn read<B: Buf>(
    headers: &HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
    limits: &BodyLimits,
) -> Result<Option<Object>, ApiError> {
    let bytes = arrive(headers, body, limits).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let encoding = encoding(headers)?;
    let bad = |message: String| ApiError::new(ErrorCode::BadRequest, message);
    match decode_value(&bytes, encoding, &limits.codec) {
        Ok(Value::Object(object)) => Ok(Some(object)),
        Ok(_) => Err(bad("the body is not an object".to_owned())),
        Err(error) => Err(bad(format!("the body is {error}"))),
    }
}

async fn arrive<B: Buf>(
    headers: &HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
    limits: &BodyLimits,
) -> Result<Bytes, ApiError> {
    // Told before anything is read, so that nobody uploads in vain.
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > limits.bytes) {
        return Err(too_large(limits));
    }
    match tokio::time::timeout(limits.time, collect(body, limits)).await {
        Ok(bytes) => bytes,
        Err(_) => {
            let message = format!("the body did not arrive within {:?}", limits.time);
            Err(ApiError::new(ErrorCode::BadRequest, message))
        }
    }
}

async fn collect<B: Buf>(
    body: impl Stream<Item = Result<B, warp::Error>>,
    limits: &BodyLimits,
) -> Result<Bytes, ApiError> {
    let mut body = pin!(body);
    let mut bytes = BytesMut::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| {
            ApiError::new(ErrorCode::BadRequest, format!("the body broke off: {error}"))
        })?;
        // Chunked bodies announce no length.
        if bytes.len() + piece.remaining() > limits.bytes {
            return Err(too_large(limits));
        }
        bytes.put(piece);
    }
    Ok(bytes.freeze())
}

fn too_large(limits: &BodyLimits) -> ApiError {
    let message = format!("the body has more than {} bytes", limits.bytes);
    ApiError::new(ErrorCode::TooLarge, message)
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, ApiError> {
    let refuse = |what: String| {
        let message = format!("{what}; send application/json or application/msgpack");
        ApiError::new(ErrorCode::UnsupportedMediaType, message)
    };
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(refuse("compressed bodies are not taken".to_owned()));
    }
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(refuse("the body has no media type, or several".to_owned()));
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    let (essence, parameters) = text.split_once(';').unwrap_or((&text, ""));
    let encoding = match essence.trim().to_ascii_lowercase().as_str() {
        "application/json" => Encoding::Json,
        "application/msgpack" | "application/x-msgpack" => Encoding::MessagePack,
        _ => {
            let essence: String = essence.escape_debug().take(100).collect();
            return Err(refuse(format!("bodies of the media type `{essence}` are not taken")));
        }
    };
    for parameter in parameters.split(';') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let charset = value.trim().trim_matches('"');
        if name.trim().eq_ignore_ascii_case("charset") && !charset.eq_ignore_ascii_case("utf-8") {
            return Err(refuse("the body is not in UTF-8".to_owned()));
        }
    }
    Ok(encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(value: &str) -> Option<Encoding> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]);
        encoding(&headers).ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_not_waited_for_without_end() {
        let (start, limits) = (tokio::time::Instant::now(), BodyLimits::default().bytes(8));
        let begun = futures::stream::iter([Ok(Bytes::from_static(b"token="))]);
        let never = begun.chain(futures::stream::pending());
        let error = arrive(&HeaderMap::new(), never, &limits).await.unwrap_err();
        assert!(error.0.message.contains("did not arrive within 30s"), "{}", error.0);
        assert_eq!(start.elapsed(), limits.time);
        let long = futures::stream::iter([Ok(Bytes::from_static(b"token=123"))]);
        let error = arrive(&HeaderMap::new(), long, &limits).await.unwrap_err();
        assert_eq!(error.0.code, ErrorCode::TooLarge);
    }

    #[test]
    fn media_types_are_read_with_their_parameters() {
        for json in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\" ; x=y",
        ] {
            assert_eq!(taken(json), Some(Encoding::Json), "{json}");
        }
        for packed in ["application/msgpack", "application/x-msgpack"] {
            assert_eq!(taken(packed), Some(Encoding::MessagePack), "{packed}");
        }
        for other in [
            "text/plain",
            "",
            "application/x-www-form-urlencoded",
            "application/json, text/plain",
            "application/json; charset=latin1",
            "text/plain; application/json",
        ] {
            assert_eq!(taken(other), None, "{other}");
        }
        assert!(encoding(&HeaderMap::new()).is_err());
    }
}
