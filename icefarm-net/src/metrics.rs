//! Figures for operators, as Prometheus reads them: what control and workers have in common.
//!
//! Each server has a [`Registry`] of its own, so that several servers in one process do not add up.

use crate::hub::{Census, Hub};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use warp::http::header::CONTENT_TYPE;
use warp::http::{HeaderValue, StatusCode};
use warp::reply::{Reply, Response};

/// What OpenMetrics 1.0 calls its text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Labels of a series; their names never change, and their values are few.
pub type Labels<const N: usize> = [(&'static str, String); N];

/// A registry whose series begin with `prefix`, with the version of the server.
#[must_use]
pub fn registry(prefix: &'static str, version: &'static str) -> Registry {
    let mut registry = Registry::with_prefix(prefix);
    registry.register("build", "The version of the server", Info::new([("version", version)]));
    registry
}

/// Answers with the figures of a registry as they are now.
#[must_use]
pub fn page(registry: &Registry) -> Response {
    let mut page = String::new();
    if let Err(error) = text::encode(&mut page, registry) {
        tracing::error!(%error, "the figures of the server cannot be written");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    figures(page)
}

/// Answers with figures that are written already, in the text of OpenMetrics.
#[must_use]
pub fn figures(page: String) -> Response {
    let mut response = page.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
    response
}

/// Requests that were answered, by path and status.
#[derive(Debug, Clone)]
pub struct Requests {
    paths: &'static [&'static str],
    counters: Family<Labels<2>, Counter>,
}

impl Requests {
    /// Counts into `registry`. Paths are told apart as far as they are among `paths`, in which `*`
    /// stands for any one part; all others are `other`.
    #[must_use]
    pub fn new(registry: &mut Registry, paths: &'static [&'static str]) -> Self {
        let counters = Family::default();
        let help = "Requests that were answered, by path and HTTP status";
        registry.register("requests", help, counters.clone());
        Self { paths, counters }
    }

    /// A request was answered.
    pub fn count(&self, path: &str, status: u16) {
        let known = self.paths.iter().find(|known| fits(known, path)).copied();
        let path = known.unwrap_or("other").to_owned();
        self.counters.get_or_create(&[("path", path), ("status", status.to_string())]).inc();
    }
}

fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.split('/'), path.split('/'));
    pattern.clone().count() == path.clone().count()
        && pattern.zip(path).all(|(known, part)| known == part || known == "*" && !part.is_empty())
}

/// Series whose figures are looked up when they are asked for, so that they cannot be out of date.
pub struct Figures<'a>(DescriptorEncoder<'a>);

impl fmt::Debug for Figures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Figures")
    }
}

impl<'a> Figures<'a> {
    /// Writes to a page.
    #[must_use]
    pub fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    /// A figure that rises and falls.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn gauge(&mut self, name: &str, help: &str, value: usize) -> fmt::Result {
        self.one(name, help, None, &ConstGauge::new(signed(value)))
    }

    /// Bytes that are taken, or may be.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn bytes(&mut self, name: &str, help: &str, value: usize) -> fmt::Result {
        self.one(name, help, Some(&Unit::Bytes), &ConstGauge::new(signed(value)))
    }

    /// A figure that only rises.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.one(name, help, None, &ConstCounter::new(value))
    }

    /// Figures that rise and fall, one for each word of a label.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn gauges<'w>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'w str, usize)>,
    ) -> fmt::Result {
        let values = values.into_iter().map(|(word, value)| (word, ConstGauge::new(signed(value))));
        self.many(name, help, label, values)
    }

    /// Figures that only rise, one for each word of a label.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn counters<'w>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'w str, u64)>,
    ) -> fmt::Result {
        let values = values.into_iter().map(|(word, value)| (word, ConstCounter::new(value)));
        self.many(name, help, label, values)
    }

    fn one<M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        metric: &M,
    ) -> fmt::Result {
        let encoder = self.0.encode_descriptor(name, help, unit, metric.metric_type())?;
        metric.encode(encoder)
    }

    fn many<'w, M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'w str, M)>,
    ) -> fmt::Result {
        let mut values = values.into_iter().peekable();
        let Some((_, first)) = values.peek() else { return Ok(()) };
        let mut encoder = self.0.encode_descriptor(name, help, None, first.metric_type())?;
        for (word, metric) in values {
            metric.encode(encoder.encode_family(&[(label, word)])?)?;
        }
        Ok(())
    }
}

fn signed(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The series of a [`Hub`]: its sockets, its event streams, its memory.
#[derive(Clone)]
pub struct HubSeries(Hub);

impl HubSeries {
    /// The series of this hub.
    #[must_use]
    pub fn new(hub: Hub) -> Self {
        Self(hub)
    }
}

impl fmt::Debug for HubSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubSeries")
    }
}

impl Collector for HubSeries {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Census {
            streams,
            sockets,
            waiting,
            waiting_bytes,
            published,
            dropped,
            refused,
            memory_taken,
            memory_limit,
        } = self.0.census();
        let mut figures = Figures::new(encoder);
        figures.gauge("sockets", "Websockets of clients that are open", sockets)?;
        let help = "Clients who have a websocket, or for whom events wait";
        figures.gauge("event_streams", help, streams)?;
        let help = "Frames of events that some subscriber has not acknowledged yet";
        figures.gauge("events_waiting", help, waiting)?;
        figures.bytes("events_waiting", "What these frames take in memory", waiting_bytes)?;
        figures.counter("events", "Frames of events that were added to streams", published)?;
        let help = "Frames of events that were given up for want of room";
        figures.counter("events_dropped", help, dropped)?;
        let help = "Commands that were answered by an error, for each board, by its code";
        let refused = refused.iter().map(|(code, count)| (*code, *count));
        figures.counters("commands_refused", help, "code", refused)?;
        let help = "Memory that is lent to what clients have sent and that is not done with";
        figures.bytes("memory", help, memory_taken)?;
        figures.bytes("memory_limit", "Memory that may be lent so at most", memory_limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_nobody_knows_are_one_series() {
        let mut registry = Registry::default();
        let requests = Requests::new(&mut registry, &["/", "/a", "/a/*/end"]);
        for path in ["/", "/a", "/a/x/end", "/a/y/end", "/a/", "/a//end", "/b", "/a/x/y/end"] {
            requests.count(path, 200);
        }
        let mut page = String::new();
        text::encode(&mut page, &registry).unwrap();
        let mut lines: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                r#"requests_total{path="/",status="200"} 1"#,
                r#"requests_total{path="/a",status="200"} 1"#,
                r#"requests_total{path="/a/*/end",status="200"} 2"#,
                r#"requests_total{path="other",status="200"} 4"#,
            ]
        );
    }
}
