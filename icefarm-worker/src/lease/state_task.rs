//! The one task that runs a lease's state: its hooks and commands one after the other, its
//! spawned tasks beside them.

use super::contain::{contain, contain_call};
use super::host::LeaseHost;
use super::queue::{Command, Queued};
use super::tasks::Tasks;
use super::tenancy::Urgent;
use crate::LeaseConfig;
use crate::board::explain;
use icefarm_core::wire::{ErrorCode, ErrorDetail};
use icefarm_core::{
    BuildError, Device, DynState, Kind, Message, NextState, Object, Registry, StateError,
};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// What the supervisor hears of a state.
#[derive(Debug)]
pub(crate) enum Note {
    /// The arguments made a state.
    Built,
    /// They did not.
    Unbuilt(ErrorDetail),
    /// It is being started, once more.
    Starting,
    /// It takes commands, and the client was told so.
    Ready,
    /// The lease cannot go on.
    Failed(String),
}

/// Why a state's work ends.
enum End {
    /// The supervisor wants it to.
    Stopped,
    /// It failed, and is not called again.
    Failed(String),
}

pub(crate) struct StateTask {
    pub(crate) registry: Arc<Registry>,
    pub(crate) kind: Kind,
    pub(crate) limits: LeaseConfig,
    pub(crate) host: Arc<LeaseHost>,
    pub(crate) stop: oneshot::Receiver<()>,
    pub(crate) urgent: mpsc::UnboundedReceiver<Urgent>,
    pub(crate) switches: mpsc::UnboundedReceiver<NextState>,
    pub(crate) inbox: mpsc::UnboundedReceiver<Message>,
    pub(crate) commands: mpsc::Receiver<Queued>,
    pub(crate) tasks: Tasks,
}

type Running = Box<dyn DynState>;

impl StateTask {
    /// The state's whole life. When this returns, nothing of it is left.
    pub(crate) async fn run(mut self, args: Object) {
        let mut state = match self.build(args) {
            Ok(state) => state,
            Err(error) => return self.note(Note::Unbuilt(error)),
        };
        self.note(Note::Built);
        let end = self.live(&mut state).await;
        let end = match end {
            Err(End::Failed(reason)) => Err(reason),
            Ok(()) | Err(End::Stopped) => self.exit(&mut state).await,
        };
        let dropped = contain_call(move || drop(state)).and_then(|()| self.tasks.clear());
        if let Err(reason) = end.and(dropped) {
            self.note(Note::Failed(reason));
        }
    }

    fn build(&self, args: Object) -> Result<Running, ErrorDetail> {
        let device = Device::new(self.host.clone());
        let refused = |reason| ErrorDetail::new(ErrorCode::Internal, reason);
        match contain_call(|| self.registry.build(self.kind.as_str(), device, args)) {
            Ok(Ok(state)) => Ok(state),
            Ok(Err(error)) => Err(detail_of(&error)),
            Err(panic) => Err(refused(format!("the constructor of `{}`: {panic}", self.kind))),
        }
    }

    async fn live(&mut self, state: &mut Running) -> Result<(), End> {
        self.start(state).await?;
        loop {
            tokio::select! {
                biased;
                _ = &mut self.stop => return Ok(()),
                panic = self.tasks.drive() => return Err(self.failed("a task", &panic)),
                Some(next) = self.switches.recv() => self.switch(state, next).await?,
                Some(urgent) = self.urgent.recv() => self.urgent(state, urgent).await?,
                Some(message) = self.inbox.recv() => {
                    let limit = self.limits.hook;
                    self.hook("on_message", limit, async { state.on_message(message).await }).await?;
                }
                Some(command) = self.commands.recv() => self.command(state, command).await?,
            }
        }
    }

    async fn start(&mut self, state: &mut Running) -> Result<(), End> {
        self.hook("start", self.limits.start, async { state.start().await }).await?;
        self.ready();
        Ok(())
    }

    async fn urgent(&mut self, state: &mut Running, urgent: Urgent) -> Result<(), End> {
        let limit = self.limits.hook;
        match urgent {
            Urgent::Added(face) => {
                self.hook("added", limit, async { state.added(face).await }).await
            }
            Urgent::Removed => self.hook("removed", limit, async { state.removed().await }).await,
            Urgent::Reboot => {
                self.note(Note::Starting);
                self.hook("reboot", self.limits.reboot, async { state.reboot().await }).await?;
                self.ready();
                Ok(())
            }
        }
    }

    async fn switch(&mut self, state: &mut Running, next: NextState) -> Result<(), End> {
        self.note(Note::Starting);
        self.guard("exit", self.limits.exit, async { state.exit().await }).await?;
        self.tasks.clear().map_err(|panic| self.failed("a task", &panic))?;
        let device = Device::new(self.host.clone());
        let swapped = contain_call(|| {
            // What the old state sent to itself is not for the new one.
            while self.inbox.try_recv().is_ok() {}
            next(device).map(|new| *state = new)
        });
        match swapped {
            Ok(Ok(())) => self.start(state).await,
            Ok(Err(error)) => Err(self.failed("the next state", &explain(&error))),
            Err(panic) => Err(self.failed("the next state", &panic)),
        }
    }

    async fn command(&mut self, state: &mut Running, queued: Queued) -> Result<(), End> {
        let Queued { command: Command { event, contents, answer, .. }, place: _place } = queued;
        // The others have it next.
        let contents = Arc::unwrap_or_clone(contents);
        let registry = self.registry.clone();
        let call = async { registry.call(state.as_any_mut(), &event, contents).await };
        let called = self.guard(&event, self.limits.hook, call).await;
        // Whoever asked may be gone: the command was done all the same.
        match called {
            Ok(result) => {
                let _ = answer
                    .send(result.map_err(|error| ErrorDetail::new(error.code(), explain(&error))));
                Ok(())
            }
            Err(end) => {
                let reason = match &end {
                    End::Stopped => "the lease ended before the command did",
                    End::Failed(reason) => reason,
                };
                let _ = answer.send(Err(ErrorDetail::new(ErrorCode::CommandFailed, reason)));
                Err(end)
            }
        }
    }

    async fn exit(&mut self, state: &mut Running) -> Result<(), String> {
        let hook = timeout(self.limits.exit, contain(async { state.exit().await }));
        let result = tokio::select! {
            biased;
            result = hook => result,
            // The state goes anyway.
            _ = self.tasks.drive() => return Ok(()),
        };
        match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(panic)) => Err(self.sentence("exit", &panic)),
            Err(_) => Err(self.sentence("exit", &too_long(self.limits.exit))),
        }
    }

    async fn hook(
        &mut self,
        what: &str,
        limit: Duration,
        work: impl Future<Output = Result<(), StateError>>,
    ) -> Result<(), End> {
        let result = self.guard(what, limit, work).await?;
        result.map_err(|error| self.failed(what, &explain(&*error)))
    }

    /// Runs a piece of the state's code: it may take so long, and may panic. When the lease ends
    /// meanwhile it is given up.
    async fn guard<T>(
        &mut self,
        what: &str,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T, End> {
        let result = tokio::select! {
            biased;
            _ = &mut self.stop => return Err(End::Stopped),
            result = timeout(limit, contain(work)) => result,
            panic = self.tasks.drive() => return Err(self.failed("a task", &panic)),
        };
        match result {
            // It kept its thread beyond the end of its lease.
            _ if !self.host.fence.is_open() => Err(End::Stopped),
            Ok(Ok(value)) => Ok(value),
            Ok(Err(panic)) => Err(self.failed(what, &panic)),
            Err(_) => Err(self.failed(what, &too_long(limit))),
        }
    }

    fn ready(&self) {
        self.host.announce();
        self.note(Note::Ready);
    }

    fn failed(&self, what: &str, why: &str) -> End {
        End::Failed(self.sentence(what, why))
    }

    fn sentence(&self, what: &str, why: &str) -> String {
        format!("`{what}` of the state `{}`: {why}", self.kind)
    }

    fn note(&self, note: Note) {
        // The supervisor stops listening when it gives up on the state.
        let _ = self.host.notes.send(note);
    }
}

fn too_long(limit: Duration) -> String {
    format!("it took longer than {} s", limit.as_secs_f64())
}

fn detail_of(error: &BuildError) -> ErrorDetail {
    let code = match error {
        BuildError::UnknownKind { .. } => ErrorCode::UnknownKind,
        BuildError::Args(_) | BuildError::Refused(_) => ErrorCode::BadArguments,
        _ => ErrorCode::Internal,
    };
    ErrorDetail::new(code, explain(error))
}
