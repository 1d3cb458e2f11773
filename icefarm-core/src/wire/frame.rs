//! What travels over the websockets of control and of the workers.

use crate::{Epoch, LeaseId, Object, Serial, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};

/// The version of the protocol, MAJOR.MINOR. Another major version is refused.
pub const PROTOCOL: &str = "1.0";

/// The serial of events that belong to no board.
pub const META_SERIAL: &str = "meta";

/// The names of the farm's own events and reserved words.
pub mod events {
    /// Control: less than a third of the time of a lease is left.
    pub const ENDING_SOON: &str = "reservation ending soon";
    /// Control: a lease is over.
    pub const RESERVATION_END: &str = "reservation end";
    /// Control and worker: a board cannot go on; `reason` says why.
    pub const FAILURE: &str = "failure";
    /// Control: a request that waited has its boards.
    pub const GRANTED: &str = "reservation granted";
    /// Control: a request that waited gets no boards; `reason` says why.
    pub const NOT_GRANTED: &str = "reservation not granted";
    /// Control: where the client's waiting requests stand.
    pub const QUEUE_POSITIONS: &str = "queue positions";
    /// Control: `amount` boards can be reserved now.
    pub const DEVICES_AVAILABLE: &str = "devices_available";
    /// Control: the worker of a board cannot be reached at the moment; the lease goes on.
    pub const UNREACHABLE: &str = "unreachable";
    /// Control: a board goes out of service; the lease goes on until it ends, or until the time is
    /// over that is told.
    pub const DRAINING: &str = "draining";
    /// Worker: the board takes commands.
    pub const INITIALIZED: &str = "initialized";
    /// The first frame of a version 1 socket.
    pub const HELLO: &str = "hello";
    /// The value of a command.
    pub const REPLY: &str = "reply";
    /// Why a command was not done.
    pub const ERROR: &str = "error";
    /// A subscriber has dealt with everything up to a position.
    pub const ACK: &str = "ack";
    /// The position that a subscriber resumed from means nothing here: events may be missing, and
    /// what is open must be submitted again.
    pub const RESYNC: &str = "resync";
    /// Events were given up because a bound was reached.
    pub const DROPPED: &str = "dropped";

    /// What servers and clients say to each other on the sockets: neither a command nor an event
    /// of a state is called so.
    pub const OF_THE_PROTOCOL: [&str; 6] = [ACK, DROPPED, ERROR, HELLO, REPLY, RESYNC];
    /// What only the farm itself tells of a board or of itself: no event of a state is called so.
    pub const OF_THE_FARM: [&str; 10] = [
        DEVICES_AVAILABLE,
        DRAINING,
        ENDING_SOON,
        FAILURE,
        GRANTED,
        INITIALIZED,
        NOT_GRANTED,
        QUEUE_POSITIONS,
        RESERVATION_END,
        UNREACHABLE,
    ];
    /// The keys of frames and events that the protocol reads: no event of a state has others of
    /// these names.
    pub const KEYS: [&str; 5] = ["epoch", "event", "id", "seq", "serial"];
}

/// One event: its name, and its other keys beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The event's name.
    pub event: String,
    /// Its other keys.
    #[serde(flatten)]
    pub fields: Object,
}

impl Event {
    /// An event without further keys.
    #[must_use]
    pub fn new(event: impl Into<String>) -> Self {
        Self { event: event.into(), fields: Object::new() }
    }

    /// The same with one more key.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(key.to_owned(), value.into());
        self
    }
}

/// Server to client: events of one board, or of the farm under [`META_SERIAL`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerFrame {
    /// The board, or `meta`.
    pub serial: String,
    /// The events, in order.
    pub contents: Vec<Event>,
    /// The stream that `seq` counts in. Only on version 1 sockets, only on numbered frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// The frame's number in its stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

impl ServerFrame {
    /// A frame without a number.
    #[must_use]
    pub fn new(serial: impl Into<String>, contents: Vec<Event>) -> Self {
        Self { serial: serial.into(), contents, epoch: None, seq: None }
    }
}

/// A place in an event stream: everything up to and with `seq` has been dealt with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The stream.
    pub epoch: Epoch,
    /// The number of the last frame; zero before the first.
    pub seq: u64,
}

/// What a version 1 socket is told first, in a frame of serial `meta`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The server's protocol version.
    pub protocol: String,
    /// The stream of this client's events.
    pub epoch: Epoch,
    /// The number of the last frame of the stream so far.
    pub seq: u64,
    /// What this server can do beyond its version.
    #[serde(default)]
    pub features: Vec<String>,
}

/// Client to server: `{"event": "ack", "epoch": .., "seq": ..}`.
pub type Ack = Position;

/// The most boards that one command may name.
pub const MAX_SERIALS: usize = 1024;

/// Client to server: a command for one board or for several.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientFrame {
    /// The boards; on the wire one serial or a list of up to [`MAX_SERIALS`] of them. One that is
    /// named twice counts once.
    pub serials: Vec<Serial>,
    /// The command's name.
    pub event: String,
    /// The command's arguments; absent is the same as empty.
    pub contents: Object,
    /// Asks for an answer under this id, which is unique among those of the subscriber.
    pub id: Option<String>,
    /// The leases under which the client means to command the boards. Where it names one, another
    /// lease of its own on the board is not commanded: a command may be on its way for long. On the
    /// wire one number, or an object from serial to number.
    pub leases: BTreeMap<Serial, LeaseId>,
}

impl ClientFrame {
    /// The leases of the boards that are named, as they travel.
    #[must_use]
    pub fn lease(&self) -> Option<OneOrEach> {
        let lease = |serial: &Serial| Some((serial.clone(), *self.leases.get(serial)?));
        let leases: BTreeMap<Serial, LeaseId> = self.serials.iter().filter_map(lease).collect();
        match (self.serials.as_slice(), leases.values().next()) {
            (_, None) => None,
            ([_], Some(lease)) => Some(OneOrEach::One(*lease)),
            _ => Some(OneOrEach::Each(leases)),
        }
    }
}

/// The leases of a command on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrEach {
    /// The command is for one board, and this is its lease.
    One(LeaseId),
    /// The lease of each board, of those that have one.
    Each(BTreeMap<Serial, LeaseId>),
}

impl OneOrEach {
    /// The lease of each board of a command for these boards.
    ///
    /// # Errors
    /// What is wrong, if one lease is named for several boards.
    pub fn of(self, serials: &[Serial]) -> Result<BTreeMap<Serial, LeaseId>, &'static str> {
        match (self, serials) {
            (Self::Each(leases), _) => Ok(leases),
            (Self::One(lease), [serial]) => Ok(BTreeMap::from([(serial.clone(), lease)])),
            (Self::One(_), _) => Err(
                "`lease` names one lease for several boards; say which is whose by an object from \
                 serial to lease",
            ),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(Serial),
    Many(Vec<Serial>),
}

#[derive(Serialize, Deserialize)]
struct RawClientFrame {
    serial: OneOrMany,
    event: String,
    #[serde(default)]
    contents: Object,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease: Option<OneOrEach>,
}

impl Serialize for ClientFrame {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let serial = match self.serials.as_slice() {
            [one] => OneOrMany::One(one.clone()),
            many => OneOrMany::Many(many.to_vec()),
        };
        let (event, contents, id) = (self.event.clone(), self.contents.clone(), self.id.clone());
        RawClientFrame { serial, event, contents, id, lease: self.lease() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ClientFrame {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawClientFrame::deserialize(deserializer)?;
        let serials = match raw.serial {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) if many.len() > MAX_SERIALS => {
                return Err(serde::de::Error::custom(format_args!(
                    "a command names at most {MAX_SERIALS} boards; this one names {}",
                    many.len()
                )));
            }
            OneOrMany::Many(mut many) => {
                // Each board is commanded once, in the order of the list.
                let mut seen = BTreeSet::new();
                many.retain(|serial| seen.insert(serial.clone()));
                many
            }
        };
        let leases = raw.lease.map(|lease| lease.of(&serials)).transpose();
        let leases = leases.map_err(serde::de::Error::custom)?.unwrap_or_default();
        Ok(Self { serials, event: raw.event, contents: raw.contents, id: raw.id, leases })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_samples_of_the_seed_are_read_and_written_literally() {
        let event = json!({
            "serial": "example pico2ice serial",
            "contents": [{"event": "results", "data": "hello!"}]
        });
        let frame: ServerFrame = serde_json::from_value(event.clone()).unwrap();
        assert_eq!(frame.contents[0].event, "results");
        assert_eq!(frame.contents[0].fields["data"], Value::from("hello!"));
        assert_eq!(serde_json::to_value(&frame).unwrap(), event);

        let command = json!({
            "serial": "example pico2ice serial id",
            "event": "getdata",
            "contents": {"data": "Hello!"}
        });
        let frame: ClientFrame = serde_json::from_value(command.clone()).unwrap();
        assert_eq!(frame.serials, [Serial::new("example pico2ice serial id").unwrap()]);
        assert_eq!(serde_json::to_value(&frame).unwrap(), command);
    }

    #[test]
    fn a_command_names_each_board_once_and_not_too_many() {
        let twice = json!({"serial": ["A", "B", "A"], "event": "e"});
        let frame: ClientFrame = serde_json::from_value(twice).unwrap();
        assert_eq!(frame.serials.len(), 2);
        let many: Vec<String> = (0..=MAX_SERIALS).map(|n| n.to_string()).collect();
        let error = serde_json::from_value::<ClientFrame>(json!({"serial": many, "event": "e"}));
        assert!(error.unwrap_err().to_string().contains("at most 1024 boards"));
    }

    #[test]
    fn a_command_may_say_which_leases_it_means() {
        let one = json!({"serial": "A", "event": "e", "contents": {}, "lease": 7});
        let frame: ClientFrame = serde_json::from_value(one.clone()).unwrap();
        assert_eq!(frame.leases, BTreeMap::from([(Serial::new("A").unwrap(), LeaseId(7))]));
        assert_eq!(serde_json::to_value(&frame).unwrap(), one);

        let each = json!({"serial": ["A", "B"], "event": "e", "contents": {}, "lease": {"B": 8}});
        let mut frame: ClientFrame = serde_json::from_value(each.clone()).unwrap();
        assert_eq!(serde_json::to_value(&frame).unwrap(), each);
        // Who has answered is not asked again.
        frame.serials.remove(0);
        assert_eq!(serde_json::to_value(&frame).unwrap()["lease"], 8);

        let both = json!({"serial": ["A", "B"], "event": "e", "lease": 7});
        let error = serde_json::from_value::<ClientFrame>(both).unwrap_err();
        assert!(error.to_string().contains("from serial to lease"), "{error}");
    }

    #[test]
    fn a_command_may_name_several_boards_and_an_id() {
        let command = json!({"serial": ["A", "B"], "event": "e", "contents": {}, "id": "7"});
        let frame: ClientFrame = serde_json::from_value(command.clone()).unwrap();
        assert_eq!(frame.serials.len(), 2);
        assert_eq!(frame.id.as_deref(), Some("7"));
        assert_eq!(serde_json::to_value(&frame).unwrap(), command);
    }
}
