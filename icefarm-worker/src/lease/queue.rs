//! Commands that wait for a state.

use icefarm_core::wire::{ErrorCode, ErrorDetail};
use icefarm_core::{LeaseId, Object, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{mpsc, oneshot};

/// A command of the lease's holder.
#[derive(Debug)]
pub(crate) struct Command {
    /// The lease that is meant, if the client says so.
    pub(crate) lease: Option<LeaseId>,
    pub(crate) event: String,
    /// Shared by all boards that the command is for.
    pub(crate) contents: Arc<Object>,
    /// What the contents take in memory.
    pub(crate) bytes: usize,
    pub(crate) answer: oneshot::Sender<Result<Value, ErrorDetail>>,
}

/// How much may wait at one board.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueLimits {
    pub(crate) commands: usize,
    pub(crate) bytes: usize,
}

/// A command in a queue, in which its bytes count until it is dropped.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) command: Command,
    pub(crate) place: Place,
}

#[derive(Debug)]
pub(crate) struct Place {
    bytes: usize,
    taken: Arc<AtomicUsize>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Commands that wait for the state. They wait from the moment that the lease is taken, so that
/// nobody is refused who is a little early.
#[derive(Debug)]
pub(crate) struct Commands {
    sender: mpsc::Sender<Queued>,
    receiver: Option<mpsc::Receiver<Queued>>,
    /// Bytes of the commands that wait or are being done.
    taken: Arc<AtomicUsize>,
    limits: QueueLimits,
}

impl Commands {
    pub(crate) fn new(limits: QueueLimits) -> Self {
        let (sender, receiver) = mpsc::channel(limits.commands.max(1));
        Self { sender, receiver: Some(receiver), taken: Arc::default(), limits }
    }

    /// The state's end, once.
    pub(crate) fn take(&mut self) -> mpsc::Receiver<Queued> {
        self.receiver.take().unwrap_or_else(|| mpsc::channel(1).1)
    }

    pub(crate) fn push(&self, command: Command) {
        use mpsc::error::TrySendError::{Closed, Full};
        let Some(place) = self.place(command.bytes) else {
            let message = format!(
                "{} bytes of commands wait at this board, and {} may; send more later",
                self.taken.load(Ordering::Relaxed),
                self.limits.bytes
            );
            return refuse(command, ErrorCode::Overloaded, message);
        };
        match self.sender.try_send(Queued { command, place }) {
            Ok(()) => {}
            Err(Full(Queued { command, .. })) => {
                let most = self.sender.max_capacity();
                let message = format!("{most} commands wait at this board; send more later");
                refuse(command, ErrorCode::Overloaded, message);
            }
            Err(Closed(Queued { command, .. })) => {
                refuse(command, ErrorCode::NotReserved, "the lease is over".to_owned());
            }
        }
    }

    /// A command that is larger than the whole queue is taken when nothing else is there.
    fn place(&self, bytes: usize) -> Option<Place> {
        let fits = |taken: usize| {
            let sum = taken.saturating_add(bytes);
            (taken == 0 || sum <= self.limits.bytes).then_some(sum)
        };
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        Some(Place { bytes, taken: self.taken.clone() })
    }
}

/// Whoever asked may be gone.
fn refuse(command: Command, code: ErrorCode, message: String) {
    let _ = command.answer.send(Err(ErrorDetail::new(code, message)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(bytes: usize) -> (Command, oneshot::Receiver<Result<Value, ErrorDetail>>) {
        let (answer, answered) = oneshot::channel();
        (
            Command { lease: None, event: "e".into(), contents: Arc::default(), bytes, answer },
            answered,
        )
    }

    #[test]
    fn bytes_count_beside_commands_until_the_command_is_done() {
        let mut commands = Commands::new(QueueLimits { commands: 4, bytes: 100 });
        let mut waiting = commands.take();
        let push = |bytes| {
            let (command, mut answered) = command(bytes);
            commands.push(command);
            answered.try_recv().ok().map(|answer| answer.unwrap_err())
        };
        assert!(push(60).is_none() && push(40).is_none());
        let error = push(1).unwrap();
        assert_eq!(error.code, ErrorCode::Overloaded);
        assert!(error.message.starts_with("100 bytes"), "{error}");
        let first = waiting.try_recv().unwrap();
        assert!(push(1).is_some(), "it is being done");
        drop(first);
        assert!(push(60).is_none());
        for _ in 0..2 {
            drop(waiting.try_recv().unwrap());
        }
        assert!(push(5000).is_none(), "nothing else is there");
        assert!(push(1).is_some());
        drop(waiting.try_recv().unwrap());
        for _ in 0..4 {
            assert!(push(0).is_none());
        }
        assert!(push(0).unwrap().message.starts_with("4 commands"));
        drop(waiting);
        assert_eq!(push(0).unwrap().code, ErrorCode::NotReserved);
    }
}
