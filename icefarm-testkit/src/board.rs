//! A board that the test has reserved.

use crate::bench::object;
use crate::log::Log;
use crate::{TestBench, TestError, TestEvent};
use futures::Stream;
use icefarm_core::wire::{BoardReport, events};
use icefarm_core::{Board, LeaseId, Registered, Serial, Value};
use icefarm_sim::VirtualBoard;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// A virtual board under a lease of the test, with a state at work on it.
///
/// Dropping it ends nothing; the state goes with the test. [`Self::end`] tells whether the state
/// ends as it should.
pub struct TestBoard {
    bench: TestBench,
    lease: LeaseId,
    log: Arc<Log>,
}

impl fmt::Debug for TestBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bench, lease) = (&self.bench, &self.lease);
        f.debug_struct("TestBoard").field("bench", bench).field("lease", lease).finish()
    }
}

impl TestBoard {
    pub(crate) fn new(bench: TestBench, lease: LeaseId, log: Arc<Log>) -> Self {
        Self { bench, lease, log }
    }

    /// Plugs in a board, reserves it as the state `S`, and waits until it is initialized.
    ///
    /// # Errors
    /// [`TestError::Refused`] if the arguments do not fit; [`TestError::LeaseFailed`] if the state
    /// did not start.
    pub async fn reserve<S: Registered>(args: impl Serialize) -> Result<Self, TestError> {
        TestBench::builder().plug()?.reserve::<S>(args).await
    }

    /// The same by the name of the kind, as clients know it.
    ///
    /// # Errors
    /// As [`Self::reserve`].
    pub async fn reserve_kind(kind: &str, args: impl Serialize) -> Result<Self, TestError> {
        TestBench::builder().plug()?.reserve_kind(kind, args).await
    }

    /// Sends a command and waits for its answer. The contents are anything that serde writes as an
    /// object, as in a client. The command is in the board's queue once the future was
    /// polled; commands are done in that order.
    ///
    /// # Errors
    /// [`TestError::Refused`] with the error that the client gets: a key that is misspelt, what
    /// the method itself answered, or that the lease is over.
    pub async fn command(
        &self,
        command: &str,
        contents: impl Serialize,
    ) -> Result<Value, TestError> {
        let contents = object("the contents of a command", contents)?;
        let client = self.bench.client();
        let answer = self.bench.supervisor().command(client, command.to_owned(), contents);
        match timeout(self.bench.patience(), answer).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(self.timed_out(format!("the answer to `{command}`"))),
        }
    }

    /// The first event of that name that was not taken yet. Others stay, to be taken later.
    ///
    /// # Errors
    /// [`TestError::TimedOut`] and [`TestError::LeaseFailed`], both with what did come.
    pub async fn event(&self, name: &str) -> Result<TestEvent, TestError> {
        let what = format!("the event `{name}`");
        self.log.take(&what, self.bench.patience(), |event| event.name() == name).await
    }

    /// The first event that was not taken yet, whatever it is.
    ///
    /// # Errors
    /// As [`Self::event`].
    pub async fn next_event(&self) -> Result<TestEvent, TestError> {
        self.log.take("another event", self.bench.patience(), |_| true).await
    }

    /// All events that were not taken yet, and those to come. The stream ends after the `failure`
    /// of the lease, if that comes; an error is its last item.
    ///
    /// ```no_run
    /// use futures::TryStreamExt;
    /// # use futures::StreamExt;
    /// # async fn run(board: icefarm_testkit::TestBoard) -> Result<(), icefarm_testkit::TestError> {
    /// let three: Vec<_> = board.events().take(3).try_collect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn events(&self) -> impl Stream<Item = Result<TestEvent, TestError>> + Unpin + '_ {
        Box::pin(futures::stream::unfold(false, async |over| {
            if over {
                return None;
            }
            match self.next_event().await {
                Ok(event) => Some((Ok(event), false)),
                Err(TestError::LeaseFailed { .. }) => None,
                Err(error) => Some((Err(error), true)),
            }
        }))
    }

    /// Makes sure that nothing comes for so long, and that nothing was left to be taken.
    ///
    /// # Errors
    /// [`TestError::NotSilent`] with what came.
    pub async fn silence(&self, duration: Duration) -> Result<(), TestError> {
        match self.log.take("silence", duration, |_| true).await {
            Err(TestError::TimedOut { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(TestError::NotSilent { came: self.log.came() }),
        }
    }

    /// Waits until the lease fails, as it does when a hook or command panics or takes too long,
    /// and returns the reason.
    ///
    /// # Errors
    /// [`TestError::TimedOut`] if it does not fail.
    pub async fn failure(&self) -> Result<String, TestError> {
        let failure = self.event(events::FAILURE).await?;
        Ok(failure["reason"].as_str().unwrap_or_default().to_owned())
    }

    /// Asks for the state's [`reboot`](icefarm_core::State::reboot) as an operator does, and waits
    /// until the client is told `initialized` again.
    ///
    /// # Errors
    /// [`TestError::LeaseFailed`] if the hook failed.
    pub async fn reboot(&self) -> Result<(), TestError> {
        self.bench.supervisor().reboot().await?;
        self.initialized().await
    }

    /// Pulls the board's plug, puts it in again, and waits until the board is back on the bus. The
    /// state hears of both, by [`removed`](icefarm_core::State::removed) and
    /// [`added`](icefarm_core::State::added), before the next command.
    ///
    /// # Errors
    /// [`TestError::TimedOut`] if the board does not come back.
    pub async fn replug(&self) -> Result<(), TestError> {
        let board = self.virtual_board();
        let mut presence = board.presence();
        let moved = async {
            board.unplug();
            // The sender lives in the board.
            let _ = presence.wait_for(|now| now.face.is_none()).await;
            board.plug();
            let _ = presence.wait_for(|now| now.face.is_some()).await;
        };
        let late = |_| self.timed_out("the board that was plugged in again".to_owned());
        timeout(self.bench.patience(), moved).await.map_err(late)
    }

    pub(crate) async fn initialized(&self) -> Result<(), TestError> {
        self.event(events::INITIALIZED).await.map(drop)
    }

    /// Ends the lease, waits until nothing is left of the state, and returns the bench with the
    /// board, which is being taken back. Events that were not taken, as what `exit` has sent, can
    /// still be.
    ///
    /// # Errors
    /// [`TestError::EndedBadly`] if `exit` panicked or missed its deadline;
    /// [`TestError::LeaseFailed`] if the lease had failed before and the test did not ask for it
    /// with [`Self::failure`].
    pub async fn end(&self) -> Result<TestBench, TestError> {
        self.bench.supervisor().end(self.lease).await?;
        let ours = |report: &BoardReport| {
            report.lease.as_ref().is_some_and(|lease| lease.lease == self.lease)
        };
        let gone = self.bench.supervisor().wait_for(|report| !ours(report));
        if timeout(self.bench.patience(), gone).await.is_err() {
            return Err(self.timed_out("the end of the state".to_owned()));
        }
        if let Some(reason) = self.log.unnoticed_failure() {
            return Err(TestError::LeaseFailed { reason, came: self.log.came() });
        }
        let reasons = self.log.bad_ends();
        if reasons.is_empty() {
            return Ok(self.bench.clone());
        }
        Err(TestError::EndedBadly { reasons: reasons.join("; ") })
    }

    /// The board itself, to be unplugged, hung, or looked into.
    #[must_use]
    pub fn virtual_board(&self) -> &VirtualBoard {
        self.bench.virtual_board()
    }

    /// The name of the firmware image that the board's flash holds; `None` if it was interrupted
    /// while it was written.
    #[must_use]
    pub fn image(&self) -> Option<String> {
        self.virtual_board().image().map(|image| image.name.to_string())
    }

    /// The board's serial.
    #[must_use]
    pub fn serial(&self) -> &Serial {
        self.bench.serial()
    }

    /// The lease. The first on a bench is 1.
    #[must_use]
    pub fn lease(&self) -> LeaseId {
        self.lease
    }

    /// The bench that the board is on.
    #[must_use]
    pub fn bench(&self) -> &TestBench {
        &self.bench
    }

    fn timed_out(&self, what: String) -> TestError {
        TestError::TimedOut { what, after: self.bench.patience(), came: self.log.came() }
    }
}
