//! Commands that wait for their answers: a pure book of one socket.

use crate::loss::Loss;
use icefarm_core::wire::{ClientFrame, ErrorDetail, Event, events};
use icefarm_core::{Serial, Value};
use serde::Deserialize as _;
use std::collections::BTreeMap;

/// Why a command has no value.
#[derive(Debug, Clone)]
pub(crate) enum CommandFailure {
    /// The worker or the state says so.
    Refused(ErrorDetail),
    /// Nobody will answer any more.
    Lost(Loss),
}

/// Is called once for every board of the command.
pub(crate) type Answer = Box<dyn FnMut(&Serial, Result<Value, CommandFailure>) + Send>;

/// A command and who waits for it. It has an id.
pub(crate) struct Command {
    pub(crate) id: String,
    pub(crate) frame: ClientFrame,
    pub(crate) answer: Answer,
}

/// Commands in the order in which they were given.
#[derive(Default)]
pub(crate) struct Outstanding {
    commands: BTreeMap<u64, Command>,
    ids: BTreeMap<String, u64>,
    next: u64,
}

impl Outstanding {
    pub(crate) fn add(&mut self, command: Command) {
        self.ids.insert(command.id.clone(), self.next);
        self.commands.insert(self.next, command);
        self.next += 1;
    }

    /// What a new connection is sent again: the same ids, so nothing is done twice, and only the
    /// boards that have not answered.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &ClientFrame> {
        self.commands.values().map(|command| &command.frame)
    }

    /// Takes an event; whether it was the answer to a command.
    pub(crate) fn event(&mut self, serial: &Serial, event: &Event) -> bool {
        let failed = match event.event.as_str() {
            events::REPLY => false,
            events::ERROR => true,
            _ => return false,
        };
        let Some(id) = event.fields.get("id").and_then(Value::as_str) else { return false };
        let result = if failed {
            Err(CommandFailure::Refused(detail(event)))
        } else {
            Ok(event.fields.get("value").cloned().unwrap_or_default())
        };
        let Some(&number) = self.ids.get(id) else { return true };
        let Some(command) = self.commands.get_mut(&number) else { return true };
        let serials = &mut command.frame.serials;
        let answered: Vec<Serial> = match serials.iter().position(|waiting| waiting == serial) {
            Some(position) => vec![serials.remove(position)],
            // Under `meta`: the command as a whole was not understood.
            None if serial.as_str() == icefarm_core::wire::META_SERIAL => std::mem::take(serials),
            None => return true,
        };
        for serial in &answered {
            (command.answer)(serial, result.clone());
        }
        if command.frame.serials.is_empty() {
            self.commands.remove(&number);
            self.ids.remove(id);
        }
        true
    }

    /// A board will not answer any more.
    pub(crate) fn lose_board(&mut self, serial: &Serial, loss: &Loss) {
        self.lose(|waiting| waiting == serial, loss);
    }

    /// Nobody will answer any more.
    pub(crate) fn lose_all(&mut self, loss: &Loss) {
        self.lose(|_| true, loss);
    }

    fn lose(&mut self, which: impl Fn(&Serial) -> bool, loss: &Loss) {
        self.commands.retain(|_, command| {
            let (lost, left) = command.frame.serials.drain(..).partition(|serial| which(serial));
            command.frame.serials = left;
            let lost: Vec<Serial> = lost;
            for serial in &lost {
                (command.answer)(serial, Err(CommandFailure::Lost(loss.clone())));
            }
            let open = !command.frame.serials.is_empty();
            if !open {
                self.ids.remove(&command.id);
            }
            open
        });
    }
}

/// The error as such: its keys without those that address it.
fn detail(event: &Event) -> ErrorDetail {
    let mut fields = event.fields.clone();
    fields.remove("id");
    ErrorDetail::deserialize(Value::Object(fields)).unwrap_or_else(|error| {
        let message = format!("the worker answered with an error that cannot be read: {error}");
        ErrorDetail::new(icefarm_core::wire::ErrorCode::Other, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use icefarm_core::Object;
    use std::sync::{Arc, Mutex};

    type Log = Arc<Mutex<Vec<String>>>;

    fn serial(text: &str) -> Serial {
        Serial::new(text).unwrap()
    }

    fn add(book: &mut Outstanding, log: &Log, id: &str, serials: &[&str]) {
        let serials = serials.iter().map(|text| serial(text)).collect();
        let frame = ClientFrame {
            serials,
            event: "e".into(),
            contents: Object::new(),
            id: Some(id.to_owned()),
            leases: BTreeMap::new(),
        };
        let (log, name) = (log.clone(), id.to_owned());
        let answer: Answer = Box::new(move |serial, result| {
            let said = match result {
                Ok(value) => format!("{value:?}"),
                Err(CommandFailure::Refused(detail)) => detail.to_string(),
                Err(CommandFailure::Lost(loss)) => loss.code,
            };
            log.lock().unwrap().push(format!("{name} {serial} {said}"));
        });
        book.add(Command { id: id.to_owned(), frame, answer });
    }

    fn reply(id: &str, value: u32) -> Event {
        Event::new("reply").with("id", id).with("value", value)
    }

    #[test]
    fn answers_find_their_commands_once() {
        let (mut book, log) = (Outstanding::default(), Log::default());
        add(&mut book, &log, "1", &["A", "B"]);
        add(&mut book, &log, "2", &["A"]);
        assert!(book.event(&serial("A"), &reply("2", 2)));
        assert!(book.event(&serial("A"), &reply("2", 3)), "a repetition is nobody's event");
        assert!(!book.event(&serial("A"), &Event::new("results")));
        assert!(!book.event(&serial("A"), &Event::new("error").with("code", "internal")));
        assert!(book.event(&serial("B"), &reply("1", 1)));
        let again: Vec<_> = book.frames().map(|frame| frame.serials.clone()).collect();
        assert_eq!(again, [[serial("A")]], "who has answered is not asked again");
        let error = Event::new("error").with("id", "1").with("code", "not_holder");
        book.event(&serial("A"), &error.with("message", "not yours"));
        assert_eq!(*log.lock().unwrap(), ["2 A 2", "1 B 1", "1 A not yours"]);
        assert!(book.commands.is_empty() && book.ids.is_empty());
    }

    #[test]
    fn what_is_lost_is_told() {
        let (mut book, log) = (Outstanding::default(), Log::default());
        add(&mut book, &log, "1", &["A", "B"]);
        add(&mut book, &log, "2", &["B"]);
        add(&mut book, &log, "3", &["A", "B"]);
        let error = Event::new("error").with("id", "3").with("code", "bad_request");
        book.event(&serial("meta"), &error.with("message", "what?"));
        book.lose_board(&serial("B"), &Loss::new("b", "gone"));
        book.lose_all(&Loss::new("all", "closed"));
        let lines = ["3 A what?", "3 B what?", "1 B b", "2 B b", "1 A all"];
        assert_eq!(*log.lock().unwrap(), lines);
        assert!(book.commands.is_empty() && book.ids.is_empty());
    }
}
