//! Boards are given back when the process is asked to stop.

use crate::client::{Client, Inner};
use crate::error::ClientError;
use futures::future::join_all;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long giving the boards back may take. What is not given back by then is free when its
/// leases, which nobody renews any more, have run out.
const FAREWELL: Duration = Duration::from_secs(10);

/// The signal by which a process was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopSignal {
    /// SIGINT, as by Ctrl-C.
    Interrupt,
    /// SIGTERM, as by `kill` and by service managers.
    Terminate,
}

impl StopSignal {
    /// What a process that it ended tells the shell by convention: 128 and the signal's number.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }

    /// The same for `main`.
    #[must_use]
    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(self.status())
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        })
    }
}

impl Client {
    /// From now on SIGINT and SIGTERM (Ctrl-C alone where there are no such signals) have this
    /// client's boards given back, which takes 10 s at most, and then end the process with the
    /// conventional status, see [`StopSignal::status`]. A second signal ends it at once.
    ///
    /// Several clients may ask for it: the process ends when all of them have given back. The
    /// signals stay taken when the client is closed, and then just end the process. Must be
    /// called within a tokio runtime.
    ///
    /// Nothing of this happens unless it is asked for: a process that a signal ends otherwise
    /// frees its boards when its leases run out, within a minute.
    ///
    /// # Errors
    /// [`ClientError::Signals`] if the system does not let this process listen for signals.
    pub fn end_on_signals(&self) -> Result<(), ClientError> {
        self.give_back_on_signals().map(drop)
    }

    /// As [`Self::end_on_signals`], but the program decides what happens once the boards are given
    /// back: that is told by the [`StopRequest`], which must be kept for as long as the program
    /// decides. Open evaluations fail with `client_closed`, so that loops over their outcomes end.
    ///
    /// A second signal ends the process at once.
    ///
    /// ```no_run
    /// # use icefarm_client::Client;
    /// # async fn work(client: &Client) {}
    /// # async fn run(client: Client) -> Result<std::process::ExitCode, icefarm_client::ClientError> {
    /// let stop = client.give_back_on_signals()?;
    /// tokio::select! {
    ///     () = work(&client) => {}
    ///     signal = stop => return Ok(signal.exit_code()),
    /// }
    /// # client.close().await?;
    /// # Ok(std::process::ExitCode::SUCCESS)
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::end_on_signals`].
    pub fn give_back_on_signals(&self) -> Result<StopRequest, ClientError> {
        let (tell, told) = watch::channel(Stop::NotAsked);
        let client = Arc::downgrade(self.inner());
        register(Entry { client, runtime: Handle::current(), tell })
            .map_err(|source| ClientError::Signals { source: Arc::new(source) })?;
        let mut awaited = told.clone();
        let given_back = async move {
            let stop = awaited.wait_for(|stop| matches!(stop, Stop::GivenBack(_))).await;
            match stop.map(|stop| *stop) {
                Ok(Stop::GivenBack(signal)) => signal,
                // The sender lives as long as the process.
                _ => std::future::pending().await,
            }
        };
        Ok(StopRequest { told, given_back: Box::pin(given_back) })
    }
}

#[derive(Debug, Clone, Copy)]
enum Stop {
    NotAsked,
    Asked(StopSignal),
    GivenBack(StopSignal),
}

/// Ends with the signal by which the process was asked to stop, once the boards are given back.
///
/// Dropped before there was a signal, it leaves the decision to
/// [`Client::end_on_signals`]: the process ends.
#[must_use = "without it a signal ends the process"]
pub struct StopRequest {
    told: watch::Receiver<Stop>,
    given_back: Pin<Box<dyn Future<Output = StopSignal> + Send + Sync>>,
}

impl StopRequest {
    /// The signal, as soon as there was one, also while boards are still being given back.
    #[must_use]
    pub fn received(&self) -> Option<StopSignal> {
        match *self.told.borrow() {
            Stop::NotAsked => None,
            Stop::Asked(signal) | Stop::GivenBack(signal) => Some(signal),
        }
    }
}

impl fmt::Debug for StopRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopRequest").field("received", &self.received()).finish()
    }
}

impl Future for StopRequest {
    type Output = StopSignal;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<StopSignal> {
        self.given_back.as_mut().poll(context)
    }
}

/// A client that gives its boards back.
struct Entry {
    client: Weak<Inner>,
    runtime: Handle,
    tell: watch::Sender<Stop>,
}

/// All clients of the process that asked for it. `None`: nobody listens for signals yet.
static ENTRIES: Mutex<Option<Vec<Entry>>> = Mutex::new(None);

fn entries() -> MutexGuard<'static, Option<Vec<Entry>>> {
    ENTRIES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn register(entry: Entry) -> io::Result<()> {
    let mut entries = entries();
    if entries.is_none() {
        start()?;
    }
    let entries = entries.get_or_insert_default();
    entries.retain(Entry::matters);
    entries.push(entry);
    Ok(())
}

impl Entry {
    /// Whether there is a client that may hold boards, or somebody who waits to be told.
    fn matters(&self) -> bool {
        self.client.strong_count() > 0 || !self.tell.is_closed()
    }
}

/// Listens on a thread of its own until the process ends: signals that were taken once cannot be
/// left to the system again, and the runtime of the client that asked may be gone by then.
fn start() -> io::Result<()> {
    let (tell, told) = mpsc::channel();
    std::thread::Builder::new().name("icefarm-signals".to_owned()).spawn(move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(tell.send(Err(error))),
        };
        runtime.block_on(async {
            match Signals::listen() {
                Ok(signals) => {
                    let _ = tell.send(Ok(()));
                    serve(signals).await;
                }
                Err(error) => drop(tell.send(Err(error))),
            }
        });
    })?;
    told.recv().map_err(io::Error::other)?
}

async fn serve(mut signals: Signals) {
    let signal = signals.next().await;
    tracing::info!(%signal, "asked to stop: the boards are given back");
    let asked = std::mem::take(entries().get_or_insert_default());
    let closing = asked.iter().enumerate().filter_map(|(position, entry)| {
        entry.tell.send_replace(Stop::Asked(signal));
        let seen = asked[..position].iter().any(|other| other.client.ptr_eq(&entry.client));
        let client = entry.client.upgrade().filter(|_| !seen)?;
        Some(entry.runtime.spawn(client.close()))
    });
    tokio::select! {
        given_back = give_back(closing.collect()) => if let Err(reason) = given_back {
            tracing::warn!("{reason}: boards end with their leases");
        },
        _ = signals.next() => end(signal),
    }
    // Who is told lets go of the request, so this is asked first.
    if asked.iter().all(|entry| entry.tell.is_closed()) {
        end(signal);
    }
    for entry in &asked {
        entry.tell.send_replace(Stop::GivenBack(signal));
    }
    signals.next().await;
    end(signal);
}

/// Waits until the clients are closed, but not for a control server that is gone. The time counts
/// here: the clients' own runtime may be blocked by what it works at.
async fn give_back(closing: Vec<JoinHandle<Result<(), ClientError>>>) -> Result<(), String> {
    let closed = tokio::time::timeout(FAREWELL, join_all(closing)).await;
    let all = closed.map_err(|_| "giving back took too long".to_owned())?;
    // A runtime that was shut down has taken its client's sockets with it.
    match all.into_iter().flatten().find_map(Result::err) {
        Some(error) => Err(error.to_string()),
        None => Ok(()),
    }
}

fn end(signal: StopSignal) -> ! {
    std::process::exit(signal.status().into())
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.interrupt.recv() => StopSignal::Interrupt,
            _ = self.terminate.recv() => StopSignal::Terminate,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> StopSignal {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "Ctrl-C cannot be listened for");
            std::future::pending::<()>().await;
        }
        StopSignal::Interrupt
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{Instant, sleep};

    #[tokio::test]
    async fn of_a_client_that_is_gone_nothing_is_kept_but_who_waits_to_be_told() {
        let (tell, told) = watch::channel(Stop::NotAsked);
        let entry = Entry { client: Weak::new(), runtime: Handle::current(), tell };
        assert!(entry.matters());
        drop(told);
        assert!(!entry.matters());
    }

    #[tokio::test(start_paused = true)]
    async fn control_is_not_waited_for_longer_than_ten_seconds() {
        let start = Instant::now();
        let gone = tokio::spawn(std::future::pending());
        let given_back = give_back(vec![tokio::spawn(async { Ok(()) }), gone]).await;
        assert_eq!(given_back, Err("giving back took too long".to_owned()));
        assert_eq!(start.elapsed(), Duration::from_secs(10));

        let slow = tokio::spawn(async {
            sleep(Duration::from_secs(9)).await;
            Ok(())
        });
        assert_eq!(give_back(vec![slow]).await, Ok(()));
        let refused = tokio::spawn(async { Err(ClientError::Closed) });
        assert!(give_back(vec![refused]).await.is_err());
    }
}
