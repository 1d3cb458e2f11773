//! Events of boards and of the farm, and who handles them.

use futures::FutureExt as _;
use icefarm_core::wire::{Event, META_SERIAL};
use icefarm_core::{Registered, Registration, Serial};
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// An event as it came.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ClientEvent {
    /// The server that sent it, `http://HOST:PORT`.
    pub server: Arc<str>,
    /// The board; `meta` for events of the farm, see [`Self::is_farm_wide`].
    pub serial: Serial,
    /// The event.
    pub event: Event,
}

impl ClientEvent {
    /// Whether it belongs to no board.
    #[must_use]
    pub fn is_farm_wide(&self) -> bool {
        self.serial.as_str() == META_SERIAL
    }
}

/// Hands events to handlers, as a web server hands requests to routes.
///
/// A handler is any value with a block under `#[register]`. All handlers of an event run, one
/// after the other, in the order in which they were added. An event's keys become arguments; an
/// argument named `serial` is given the board's, which is `meta` for events of the farm. A handler
/// that fails or panics is told of by `tracing`, on standard error if the program has no subscriber,
/// and keeps nothing from the others.
///
/// ```
/// use icefarm_client::EventServer;
/// use icefarm_core::register;
///
/// struct Printer { lines: Vec<String> }
///
/// #[register]
/// impl Printer {
///     #[register("results", "serial", "data")]
///     fn results(&mut self, serial: String, data: String) {
///         self.lines.push(format!("{serial}: {data}"));
///     }
/// }
///
/// let events = EventServer::new().handler(Printer { lines: Vec::new() });
/// ```
#[derive(Default)]
pub struct EventServer {
    handlers: Vec<Box<dyn AnyHandler>>,
}

impl std::fmt::Debug for EventServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.handlers.iter().map(|handler| handler.registration().type_name());
        f.debug_list().entries(names).finish()
    }
}

impl EventServer {
    /// Without handlers yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a handler behind those that are there.
    #[must_use]
    pub fn handler(mut self, handler: impl Registered) -> Self {
        self.handlers.push(Box::new(handler));
        self
    }

    /// Runs the handlers of an event.
    pub async fn dispatch(&mut self, serial: &Serial, event: &Event) {
        let name = event.event.as_str();
        for handler in &mut self.handlers {
            let registration = handler.registration();
            if !registration.handles(name) {
                continue;
            }
            let fields = event.fields.clone();
            // A synchronous method may panic before there is a future.
            let run = async { registration.dispatch(handler.target(), name, fields, serial).await };
            match AssertUnwindSafe(run).catch_unwind().await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => complain(serial, name, registration, &error.to_string()),
                Err(_) => complain(serial, name, registration, "it panicked"),
            }
        }
    }
}

/// Says that a handler failed: by the program's log, or if it has none on standard error, since
/// a program whose handler is never called would wait for it for ever.
fn complain(serial: &Serial, event: &str, registration: &Registration, error: &str) {
    let handler = registration.type_name();
    if tracing::dispatcher::has_been_set() {
        tracing::error!(%serial, event, handler, error, "a handler failed");
    } else {
        #[expect(clippy::print_stderr, reason = "nobody would hear of it")]
        {
            eprintln!("the handler `{handler}` of the event `{event}` of {serial} failed: {error}");
        }
    }
}

trait AnyHandler: Send {
    fn registration(&self) -> &'static Registration;
    fn target(&mut self) -> &mut (dyn Any + Send);
}

impl<T: Registered> AnyHandler for T {
    fn registration(&self) -> &'static Registration {
        T::REGISTRATION
    }

    fn target(&mut self) -> &mut (dyn Any + Send) {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use icefarm_core::register;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<String>>>);

    impl Log {
        fn add(&self, line: String) {
            self.0.lock().unwrap().push(line);
        }
    }

    struct First(Log);

    #[register]
    impl First {
        #[register("results", "serial", "data")]
        async fn results(&mut self, serial: String, data: String) {
            tokio::task::yield_now().await;
            self.0.add(format!("first {serial} {data}"));
        }

        #[register("failure", "reason")]
        fn failure(&mut self, reason: Option<String>) -> Result<(), String> {
            self.0.add("first failure".to_owned());
            Err(reason.unwrap_or_default())
        }
    }

    struct Second(Log);

    #[register]
    impl Second {
        #[register("results")]
        fn results(&mut self) {
            self.0.add("second".to_owned());
        }

        #[register("failure")]
        fn failure(&mut self) {
            self.0.add("second failure".to_owned());
        }
    }

    struct Panics;

    #[register]
    impl Panics {
        #[register("results")]
        fn results(&mut self) {
            panic!("as the test wants it");
        }
    }

    #[tokio::test]
    async fn all_handlers_run_in_order_whatever_the_others_do() {
        let log = Log::default();
        let mut server = EventServer::new()
            .handler(First(log.clone()))
            .handler(Panics)
            .handler(Second(log.clone()))
            .handler(First(log.clone()));
        let serial = Serial::new("S").unwrap();
        for event in [
            Event::new("results").with("data", "7").with("more", 1),
            // `First` cannot take this one.
            Event::new("results").with("data", 7),
            Event::new("failure"),
            Event::new("nobody knows it"),
        ] {
            server.dispatch(&serial, &event).await;
        }
        let lines = [
            "first S 7",
            "second",
            "first S 7",
            "second",
            "first failure",
            "second failure",
            "first failure",
        ];
        assert_eq!(*log.0.lock().unwrap(), lines);
    }
}
