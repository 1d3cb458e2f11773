//! Where log lines go, how much of them there is, and what they look like.

use clap::ValueEnum;
use serde_json::{Map, Value};
use std::fmt;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatFields, JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// What a log line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// An object of JSON on each line.
    Json,
}

/// How much a program logs that is not told to log more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// What somebody should look after.
    #[cfg(feature = "cli")]
    Warnings,
    /// What happens, too.
    Usual,
}

/// From now on what happens is logged to stderr.
pub(crate) fn start(level: Level, verbose: u8, format: LogFormat) {
    let default = match verbose {
        #[cfg(feature = "cli")]
        0 if level == Level::Warnings => "warn",
        0 => "info,hyper=warn",
        1 => "debug,hyper=warn",
        _ => "trace",
    };
    let _ = level;
    let asked = std::env::var("ICEFARM_LOG").ok().filter(|text| !text.is_empty());
    let filter = asked.and_then(|text| match tracing_subscriber::EnvFilter::try_new(&text) {
        Ok(filter) => Some(filter),
        Err(error) => {
            crate::complain(&format!(
                "the variable ICEFARM_LOG, `{text}`, is passed over: {error}"
            ));
            None
        }
    });
    let filter = filter.unwrap_or_else(|| tracing_subscriber::EnvFilter::new(default));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call in one process keeps the first log.
    let _ = match format {
        LogFormat::Text => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            log.with_ansi(colours).with_target(false).try_init()
        }
        LogFormat::Json => {
            log.with_ansi(false).fmt_fields(JsonFields::new()).event_format(Flat).try_init()
        }
    };
}

/// One object of JSON on a line: `timestamp`, `level`, `target`, `message`, and beside them what
/// the line is about. A line has what its spans are about, too, so that what a state logs tells
/// the board and the lease that it is for.
struct Flat;

impl<S, N> FormatEvent<S, N> for Flat
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>();
            let fields = fields.map(|fields| serde_json::from_str(&fields.fields));
            if let Some(Ok(Value::Object(fields))) = fields {
                line.extend(fields);
            }
        }
        event.record(&mut Fields(&mut line));
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        line.insert("timestamp".to_owned(), timestamp.into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("target".to_owned(), event.metadata().target().into());
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// Collects the fields of an event.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Kept {
        type Writer = Self;
        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_line_has_what_its_spans_are_about() {
        let kept = Kept::default();
        let log = tracing_subscriber::fmt()
            .with_writer(kept.clone())
            .fmt_fields(JsonFields::new())
            .event_format(Flat)
            .finish();
        tracing::subscriber::with_default(log, || {
            let _board = tracing::info_span!("board", serial = "A\"1", lease = 3).entered();
            let _lease = tracing::info_span!("lease", lease = 4).entered();
            tracing::warn!(client = %"ann", good = true, "line 1\nline 2");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let mut line: Map<String, Value> = serde_json::from_str(&text).unwrap();
        assert!(line.remove("timestamp").is_some_and(|at| at.as_str().unwrap().ends_with('Z')));
        let expected = serde_json::json!({
            "level": "WARN", "target": module_path!(), "message": "line 1\nline 2", "serial": "A\"1",
            "lease": 4, "client": "ann", "good": true
        });
        assert_eq!(Value::Object(line), expected);
    }
}
