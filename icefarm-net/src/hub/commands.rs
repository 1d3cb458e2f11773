//! From a command to its answers.

use super::answers::{Answers, Begin};
use super::census::Tally;
use super::outgoing::Outgoing;
use super::service::{Answer, Caller, SocketService};
use crate::codec::{CodecLimits, Encoding, UnpackError, is_packed, unpack};
use crate::memory::{Loan, Memory};
use crate::weight::structure;
use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, StreamExt as _};
use icefarm_core::Serial;
use icefarm_core::wire::{
    ClientFrame, ErrorCode, ErrorDetail, Event, META_SERIAL, ServerFrame, events,
};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The longest id of a command, in bytes.
const MAX_ID_BYTES: usize = 128;

/// Takes the commands of one socket.
pub(super) struct Commands {
    pub(super) service: Arc<dyn SocketService>,
    pub(super) caller: Caller,
    pub(super) outgoing: Arc<Outgoing>,
    pub(super) answers: Arc<Mutex<Answers>>,
    pub(super) codec: CodecLimits,
    pub(super) memory: Arc<Memory>,
    pub(super) guests: Arc<Memory>,
    pub(super) tally: Arc<Tally>,
}

/// Why a command is not begun.
enum Obstacle {
    /// These are its answers.
    Refused(Vec<Answer>),
    /// There is no memory for it.
    Full,
}

/// A command under way. It goes on when its socket is gone: the client may ask for the answer
/// over the next one.
struct Running {
    answers: Arc<Mutex<Answers>>,
    outgoing: Weak<Outgoing>,
    /// The boards that have not answered.
    serials: Vec<Serial>,
    event: String,
    id: Option<String>,
    tally: Arc<Tally>,
    /// What the command takes in memory beside its files.
    _loan: Option<Loan>,
}

impl Commands {
    /// Whose memory the caller's messages take.
    pub(super) fn lender(&self) -> impl Fn() -> Arc<Memory> + Send + Sync + use<> {
        let (service, client) = (self.service.clone(), self.caller.client.clone());
        let (memory, guests) = (self.memory.clone(), self.guests.clone());
        move || if service.is_guest(&client) { guests.clone() } else { memory.clone() }
    }

    /// Hands a command, whose files are still packed, to the service, and sees to it that its
    /// answers get back. `fits` says whether there was memory for its message.
    pub(super) async fn take(&self, frame: ClientFrame, encoding: Encoding, fits: bool) {
        let id = frame.id.as_deref();
        if id.is_some_and(|id| id.len() > MAX_ID_BYTES) {
            let message = format!("`id` has more than {MAX_ID_BYTES} bytes");
            self.complain(&ErrorDetail::new(ErrorCode::BadRequest, message));
            return;
        }
        let begin = {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.begin(id, &self.outgoing)
        };
        match begin {
            Begin::Wait(frames) | Begin::Repeat(frames) => {
                frames.into_iter().for_each(|frame| self.outgoing.reply(frame))
            }
            Begin::Overloaded => {
                let message = "as many commands are under way as are allowed; send it again later";
                let error = ErrorDetail::new(ErrorCode::Overloaded, message);
                for serial in &frame.serials {
                    self.tally.refused(error.code);
                    self.outgoing.reply(refused(serial.as_str(), id, &error).into());
                }
            }
            Begin::Run => self.run(frame, encoding, fits).await,
        }
    }

    /// Unpacks the files, if somebody may want them, and takes the memory for the rest.
    fn prepare(&self, frame: &mut ClientFrame, encoding: Encoding) -> Result<Loan, Obstacle> {
        if is_packed(&frame.contents, encoding) {
            let mut refusals = Vec::new();
            for serial in &frame.serials {
                if let Err(error) = self.service.admit(&self.caller, serial) {
                    refusals.push((serial.clone(), Err(error)));
                }
            }
            if refusals.len() == frame.serials.len() {
                return Err(Obstacle::Refused(refusals));
            }
            match unpack(&mut frame.contents, encoding, &self.codec, &self.memory) {
                Ok(()) => {}
                Err(UnpackError::Full) => return Err(Obstacle::Full),
                Err(UnpackError::Wrong(error)) => {
                    let error = ErrorDetail::new(ErrorCode::BadRequest, error.to_string());
                    let refuse = |serial: &Serial| (serial.clone(), Err(error.clone()));
                    return Err(Obstacle::Refused(frame.serials.iter().map(refuse).collect()));
                }
            }
        }
        let bytes = structure(&frame.contents) + 64 * frame.serials.len();
        self.lender()().lend(bytes).ok_or(Obstacle::Full)
    }

    /// There is no memory for the command now; it is not remembered as done.
    fn full(&self, running: &Running) {
        let message = "the commands of all clients take as much memory as they may; send it again \
                       later";
        let error = ErrorDetail::new(ErrorCode::Overloaded, message);
        let id = running.id.as_deref();
        running.serials.iter().for_each(|_| self.tally.refused(error.code));
        let sockets = {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            match id {
                Some(id) => answers.abandon(id),
                None => {
                    answers.finish_anonymous();
                    vec![running.outgoing.clone()]
                }
            }
        };
        for socket in sockets.iter().filter_map(Weak::upgrade) {
            for serial in &running.serials {
                socket.reply(refused(serial.as_str(), id, &error).into());
            }
        }
    }

    async fn run(&self, mut frame: ClientFrame, encoding: Encoding, fits: bool) {
        let mut running = Running {
            answers: self.answers.clone(),
            outgoing: Arc::downgrade(&self.outgoing),
            serials: frame.serials.clone(),
            event: frame.event.clone(),
            id: frame.id.clone(),
            tally: self.tally.clone(),
            _loan: None,
        };
        let prepared = if fits { self.prepare(&mut frame, encoding) } else { Err(Obstacle::Full) };
        match prepared {
            Ok(loan) => running._loan = Some(loan),
            Err(Obstacle::Refused(answers)) => {
                answers.into_iter().for_each(|answer| running.tell(answer));
                return running.finish();
            }
            Err(Obstacle::Full) => return self.full(&running),
        }
        let called = catch_unwind(AssertUnwindSafe(|| self.service.command(&self.caller, frame)));
        let answers = called.unwrap_or_else(|panic| {
            running.panicked(&*panic);
            stream::empty().boxed()
        });
        // Polled here once, so that the service sees the commands in the order in which they came.
        let mut answering = running.follow(answers).boxed();
        if futures::poll!(&mut answering).is_pending() {
            tokio::spawn(answering);
        }
    }

    /// Says what is wrong with something that is no command of any board.
    pub(super) fn complain(&self, error: &ErrorDetail) {
        self.tally.refused(error.code);
        self.outgoing.reply(refused(META_SERIAL, None, error).into());
    }
}

impl Running {
    /// Hands each answer on as it comes.
    async fn follow(mut self, mut answers: BoxStream<'static, Answer>) {
        while !self.serials.is_empty() {
            match AssertUnwindSafe(answers.next()).catch_unwind().await {
                Ok(Some(answer)) => self.tell(answer),
                Ok(None) => break,
                Err(panic) => {
                    self.panicked(&*panic);
                    break;
                }
            }
        }
        self.finish();
    }

    fn panicked(&self, panic: &(dyn Any + Send)) {
        let panic = crate::panics::message(panic);
        tracing::error!(event = self.event, panic, "a command panicked");
    }

    /// One answer for each board, whatever the service does.
    fn tell(&mut self, (serial, result): Answer) {
        let Some(at) = self.serials.iter().position(|waiting| *waiting == serial) else { return };
        self.serials.remove(at);
        if let Err(error) = &result {
            self.tally.refused(error.code);
        }
        let id = self.id.as_deref();
        let frame = match (result, id) {
            (Ok(value), Some(id)) => {
                let event = Event::new(events::REPLY).with("id", id).with("value", value);
                ServerFrame::new(serial.as_str(), vec![event])
            }
            // Who gives no id wants to hear of errors only.
            (Ok(_), None) => return,
            (Err(error), id) => refused(serial.as_str(), id, &error),
        };
        let frame = Arc::new(frame);
        let sockets = match id {
            Some(id) => self.lock().tell(id, &frame),
            None => vec![self.outgoing.clone()],
        };
        for socket in sockets.iter().filter_map(Weak::upgrade) {
            socket.reply(frame.clone());
        }
    }

    fn finish(mut self) {
        for serial in self.serials.clone() {
            let message = "the server failed; its log says more";
            self.tell((serial, Err(ErrorDetail::new(ErrorCode::Internal, message))));
        }
        match self.id.as_deref() {
            Some(id) => self.lock().finish(id),
            None => self.lock().finish_anonymous(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The event that says why something was not done.
fn refused(serial: &str, id: Option<&str>, error: &ErrorDetail) -> ServerFrame {
    let mut event = Event { event: events::ERROR.to_owned(), fields: error.details.clone() };
    if let Some(id) = id {
        event = event.with("id", id);
    }
    let event = event.with("code", error.code.as_str()).with("message", error.message.as_str());
    ServerFrame::new(serial, vec![event])
}
