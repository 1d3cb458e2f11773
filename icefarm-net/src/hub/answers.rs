//! Answers that are remembered, so that a repeated command is not run again.

use super::outgoing::Outgoing;
use crate::weight::weight;
use icefarm_core::wire::ServerFrame;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};

/// Answers that are remembered per subscriber, at most.
const REMEMBERED: usize = 1024;

/// The commands of one subscriber: those that run, and the answers of those that ran.
///
/// A client that lost its socket repeats what was not answered. The ids tell that it is the same
/// command, whether it still runs or not.
#[derive(Debug)]
pub(super) struct Answers {
    commands: BTreeMap<Arc<str>, Command>,
    /// The ids of finished commands, the oldest first.
    finished: VecDeque<Arc<str>>,
    bytes: usize,
    running: usize,
    limits: Limits,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Commands that run at a time.
    pub(super) running: usize,
    /// Bytes of remembered answers.
    pub(super) bytes: usize,
}

#[derive(Debug)]
enum Command {
    /// It runs, and these sockets wait for its answers, some of which are there.
    Running {
        waiting: Vec<Weak<Outgoing>>,
        told: Vec<Arc<ServerFrame>>,
    },
    Finished(Vec<Arc<ServerFrame>>),
}

/// What to do with a command.
#[derive(Debug, PartialEq)]
pub(super) enum Begin {
    /// Run it, and tell the end to [`Answers::finish`].
    Run,
    /// It runs already: its other answers will come. These are there.
    Wait(Vec<Arc<ServerFrame>>),
    /// It ran: this is its answer.
    Repeat(Vec<Arc<ServerFrame>>),
    /// Too many run: it is refused, and may be sent again.
    Overloaded,
}

impl Answers {
    pub(super) fn new(limits: Limits) -> Self {
        let (commands, finished) = (BTreeMap::new(), VecDeque::new());
        Self { commands, finished, bytes: 0, running: 0, limits }
    }

    /// A command came over the socket `from`.
    pub(super) fn begin(&mut self, id: Option<&str>, from: &Arc<Outgoing>) -> Begin {
        match id.and_then(|id| self.commands.get_mut(id)) {
            Some(Command::Finished(frames)) => return Begin::Repeat(frames.clone()),
            Some(Command::Running { waiting, told }) => {
                waiting.retain(|socket| socket.strong_count() > 0);
                if waiting.iter().any(|socket| socket.as_ptr() == Arc::as_ptr(from)) {
                    return Begin::Wait(Vec::new());
                }
                waiting.push(Arc::downgrade(from));
                return Begin::Wait(told.clone());
            }
            None => {}
        }
        if self.running == self.limits.running {
            return Begin::Overloaded;
        }
        self.running += 1;
        if let Some(id) = id {
            let waiting = vec![Arc::downgrade(from)];
            self.commands.insert(id.into(), Command::Running { waiting, told: Vec::new() });
        }
        Begin::Run
    }

    /// A command without an id has ended.
    pub(super) fn finish_anonymous(&mut self) {
        self.running -= 1;
    }

    /// A command could not be begun, and may be sent again; returns the sockets that wait for it.
    pub(super) fn abandon(&mut self, id: &str) -> Vec<Weak<Outgoing>> {
        self.running -= 1;
        match self.commands.remove(id) {
            Some(Command::Running { waiting, .. }) => waiting,
            _ => Vec::new(),
        }
    }

    /// One board has answered; returns the sockets that wait for it.
    pub(super) fn tell(&mut self, id: &str, frame: &Arc<ServerFrame>) -> Vec<Weak<Outgoing>> {
        match self.commands.get_mut(id) {
            Some(Command::Running { waiting, told }) => {
                told.push(frame.clone());
                waiting.clone()
            }
            _ => Vec::new(),
        }
    }

    /// All boards of a command have answered.
    pub(super) fn finish(&mut self, id: &str) {
        self.running -= 1;
        let Some(Command::Running { told, .. }) = self.commands.remove(id) else { return };
        let id: Arc<str> = id.into();
        self.bytes += heft(&id, &told);
        self.finished.push_back(id.clone());
        self.commands.insert(id, Command::Finished(told));
        // The newest is kept, however large it is: it is the one that may be asked for again.
        while self.finished.len() > 1
            && (self.finished.len() > REMEMBERED || self.bytes > self.limits.bytes)
        {
            let Some(id) = self.finished.pop_front() else { break };
            if let Some(Command::Finished(frames)) = self.commands.remove(&id) {
                self.bytes -= heft(&id, &frames);
            }
        }
    }
}

/// About how many bytes of memory an answer takes.
fn heft(id: &str, frames: &[Arc<ServerFrame>]) -> usize {
    128 + id.len() + frames.iter().map(|frame| weight(frame)).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use icefarm_core::wire::Event;

    fn answers(bytes: usize) -> (Answers, Arc<Outgoing>) {
        (Answers::new(Limits { running: 2, bytes }), Arc::new(Outgoing::new(1000)))
    }

    fn frames(text: &str) -> Vec<Arc<ServerFrame>> {
        vec![ServerFrame::new("A", vec![Event::new("reply").with("value", text)]).into()]
    }

    fn end(answers: &mut Answers, id: &str, frames: &[Arc<ServerFrame>]) {
        for frame in frames {
            answers.tell(id, frame);
        }
        answers.finish(id);
    }

    #[test]
    fn a_repeated_command_is_not_run_again() {
        let (mut answers, socket) = answers(10_000);
        assert_eq!(answers.begin(Some("1"), &socket), Begin::Run);
        let (again, late) = (Arc::new(Outgoing::new(1000)), Arc::new(Outgoing::new(1000)));
        for socket in [&again, &socket] {
            assert_eq!(answers.begin(Some("1"), socket), Begin::Wait(Vec::new()));
        }
        let (first, second) = (frames("x"), frames("y"));
        assert_eq!(answers.tell("1", &first[0]).len(), 2);
        assert_eq!(answers.begin(Some("1"), &late), Begin::Wait(first.clone()));
        assert_eq!(answers.tell("1", &second[0]).len(), 3);
        answers.finish("1");
        assert_eq!(answers.begin(Some("1"), &socket), Begin::Repeat([first, second].concat()));
    }

    #[test]
    fn only_so_many_run_at_a_time() {
        let (mut answers, socket) = answers(10_000);
        assert_eq!(answers.begin(Some("1"), &socket), Begin::Run);
        assert_eq!(answers.begin(None, &socket), Begin::Run);
        assert_eq!(answers.begin(Some("2"), &socket), Begin::Overloaded);
        assert_eq!(answers.begin(Some("1"), &socket), Begin::Wait(Vec::new()));
        answers.finish_anonymous();
        assert_eq!(answers.begin(Some("2"), &socket), Begin::Run);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut answers, socket) = answers(10_000);
        for n in 0..100 {
            let id = n.to_string();
            assert_eq!(answers.begin(Some(&id), &socket), Begin::Run);
            end(&mut answers, &id, &frames(&"x".repeat(1000)));
            assert!(answers.bytes <= 10_000);
        }
        assert_eq!(answers.commands.len(), answers.finished.len());
        assert!((3..10).contains(&answers.commands.len()), "{}", answers.commands.len());
        let huge = frames(&"x".repeat(100_000));
        answers.begin(Some("huge"), &socket);
        end(&mut answers, "huge", &huge);
        assert_eq!(answers.begin(Some("huge"), &socket), Begin::Repeat(huge));
        assert_eq!(answers.begin(Some("99"), &socket), Begin::Run);
    }
}
