//! What the witness knows of event streams.

use super::{Invariant, Witness};
use icefarm_control::store::Letter;
use icefarm_core::ClientName;
use icefarm_core::wire::{Event, ServerFrame, events};
use std::collections::BTreeMap;

/// What was sent to each client by control.
#[derive(Debug, Default)]
pub(super) struct Streams {
    letters: BTreeMap<(String, u64), String>,
    last: BTreeMap<String, u64>,
    /// How far each subscriber is that is there.
    subscribers: BTreeMap<String, (String, u64)>,
}

/// How far a subscriber is in one stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) epoch: String,
    pub(crate) seq: u64,
    /// Where the stream stood when the subscriber was new: what came before may be kept no more.
    pub(crate) before: u64,
    /// Whether the next number must be the next one.
    pub(crate) strict: bool,
}

impl Witness {
    pub(super) fn letter(&mut self, client: &ClientName, seq: u64, letter: &Letter) {
        let client = client.to_string();
        let text = text(letter.serial.as_str(), &letter.contents);
        self.note(format_args!("store: letter {seq} for {client}: {text}"));
        let last = self.streams.last.insert(client.clone(), seq).unwrap_or(0);
        if seq != last + 1 {
            let what = format_args!("letter {seq} for {client} was written after letter {last}");
            self.broken(Invariant::Events, what);
        }
        self.streams.letters.insert((client, seq), text);
    }

    /// A subscriber of `client` received a frame of `server`.
    pub(crate) fn frame(
        &mut self,
        subscriber: &str,
        client: &str,
        server: &str,
        seen: &mut Seen,
        frame: &ServerFrame,
    ) {
        let named = |name: &str| frame.contents.iter().any(|event| event.event == name);
        let (Some(epoch), Some(seq)) = (&frame.epoch, frame.seq) else {
            if named(events::RESYNC) {
                self.tally.resyncs += 1;
                seen.strict = false;
            }
            if let Some(event) = frame.contents.iter().find(|e| e.event == events::DROPPED) {
                seen.strict = false;
                let to = event.fields.get("to").and_then(icefarm_core::Value::as_u64);
                seen.seq = seen.seq.max(to.unwrap_or(0));
                self.tally.dropped += 1;
                self.note(format_args!("{subscriber}: dropped up to {to:?} at {server}"));
                self.follows(subscriber, client, server, seen.seq);
            }
            return;
        };
        self.tally.events += 1;
        let epoch = epoch.as_str();
        let text = text(&frame.serial, &frame.contents);
        if self.verbose {
            self.note(format_args!("{subscriber}: {server} {epoch} {seq}: {text}"));
        }
        if epoch != seen.epoch {
            let what = format_args!(
                "{subscriber} got event {seq} of {epoch} from {server} in the stream {}",
                seen.epoch
            );
            self.broken(Invariant::Events, what);
        }
        if seq <= seen.seq {
            let what = format_args!("{subscriber} got event {seq} of {server} after {}", seen.seq);
            self.broken(Invariant::Events, what);
        } else if seen.strict && seq != seen.seq + 1 {
            let what = format_args!(
                "{subscriber} got event {seq} of {server} after {}: those between are missing",
                seen.seq
            );
            self.broken(Invariant::Events, what);
        }
        (seen.seq, seen.strict) = (seq, true);
        if server == "control" {
            let sent = self.streams.letters.get(&(client.to_owned(), seq));
            if sent != Some(&text) {
                let sent = sent.cloned();
                let what = format_args!("{subscriber} got {text} as event {seq}, not {sent:?}");
                self.broken(Invariant::Events, what);
            }
        }
        self.follows(subscriber, client, server, seq);
    }

    /// A subscriber of control is there and has everything up to here.
    pub(crate) fn follows(&mut self, subscriber: &str, client: &str, server: &str, seq: u64) {
        if server == "control" {
            let entry = (client.to_owned(), seq);
            self.streams.subscribers.insert(subscriber.to_owned(), entry);
        }
    }

    /// A subscriber is not there any more.
    pub(crate) fn gone(&mut self, subscriber: &str) {
        self.streams.subscribers.remove(subscriber);
    }

    pub(super) fn subscribers_gone(&mut self, client: &str) {
        self.streams.subscribers.retain(|_, (of, _)| of != client);
    }

    /// Which subscribers of control have not heard everything.
    pub(crate) fn behind(&self) -> Vec<String> {
        let mut behind = Vec::new();
        for (subscriber, (client, seq)) in &self.streams.subscribers {
            let last = self.streams.last.get(client).copied().unwrap_or(0);
            if *seq < last {
                behind.push(format!("{subscriber} is at event {seq} of {last}"));
            }
        }
        behind
    }
}

fn text(serial: &str, contents: &[Event]) -> String {
    let contents = serde_json::to_string(contents).unwrap_or_default();
    format!("{serial} {contents}")
}
