//! What control tells of the farm in detail, under `/v1`.

use super::{BoardStatus, JournalEntry, LeasePhase};
use crate::clock::Timestamp;
use crate::{
    ClientName, Incarnation, Kind, KindInfo, LeaseId, PluginInfo, ReservationId, Serial, WorkerName,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The farm at a glance, as `GET /v1/status` tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FarmStatus {
    /// The version of control's program.
    pub version: String,
    /// The protocol version, as in [`PROTOCOL`](super::PROTOCOL).
    pub protocol: String,
    /// When control started.
    pub started: Timestamp,
    /// Control's time, by which all times of the farm are told.
    pub now: Timestamp,
    /// What is wrong with control itself, such as a database that cannot be written; absent when
    /// all is well.
    #[serde(default)]
    pub trouble: Option<String>,
    /// How many boards are at what.
    pub boards: BoardCounts,
    /// How many workers there are.
    pub workers: WorkerCounts,
    /// How many requests wait for boards; `GET /v1/queue` lists them.
    #[serde(default)]
    pub waiting: u32,
    /// The number of the last entry of the journal; zero if there is none.
    pub last_event: u64,
}

/// How many boards are at what. Each board counts in `total`, in one of the others, and in
/// `simulated` if it is that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardCounts {
    /// All boards.
    pub total: u32,
    /// Those that can be reserved now.
    pub available: u32,
    /// Those that somebody holds.
    pub reserved: u32,
    /// Those that are being made ready: `await_flash_default`, `flashing_default`, `testing`.
    pub preparing: u32,
    /// Those that could not be brought back to work.
    pub broken: u32,
    /// Those that cannot be reached.
    pub offline: u32,
    /// Those that an operator takes out of service.
    pub draining: u32,
    /// Those that are simulated.
    pub simulated: u32,
}

impl BoardCounts {
    /// Counts one more board.
    pub fn add(&mut self, status: BoardStatus, simulated: bool) {
        self.total += 1;
        self.simulated += u32::from(simulated);
        *match status {
            BoardStatus::Available => &mut self.available,
            BoardStatus::Reserved => &mut self.reserved,
            BoardStatus::AwaitFlashDefault
            | BoardStatus::FlashingDefault
            | BoardStatus::Testing => &mut self.preparing,
            BoardStatus::Broken => &mut self.broken,
            BoardStatus::Offline => &mut self.offline,
            BoardStatus::Draining => &mut self.draining,
        } += 1;
    }
}

/// How many workers there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerCounts {
    /// All that have registered and are not forgotten.
    pub total: u32,
    /// Those that answered the last heartbeats.
    pub reachable: u32,
}

/// Whether control reaches a worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WorkerContact {
    /// It has not answered a heartbeat since it registered, or since control started.
    #[default]
    Awaited,
    /// It answered the last heartbeats.
    Reachable,
    /// It missed heartbeats: leases are kept, nothing new is placed.
    Unreachable,
    /// It was silent for so long that its leases were ended.
    Lost,
    /// It was stopped in good order.
    Left,
}

impl WorkerContact {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Awaited => "awaited",
            Self::Reachable => "reachable",
            Self::Unreachable => "unreachable",
            Self::Lost => "lost",
            Self::Left => "left",
        }
    }
}

/// A worker, as `GET /v1/workers` tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerDetail {
    /// Its name.
    pub name: WorkerName,
    /// Where clients reach it.
    pub url: String,
    /// The version of its program.
    pub version: String,
    /// Which start of it this is.
    pub incarnation: Incarnation,
    /// What its boards can do.
    pub kinds: Vec<KindInfo>,
    /// The plug-in crates that are linked into it.
    #[serde(default)]
    pub plugins: Vec<PluginInfo>,
    /// Whether the last heartbeats were answered.
    pub reachable: bool,
    /// The same in more words.
    #[serde(default)]
    pub contact: WorkerContact,
    /// When it last answered.
    pub last_contact: Timestamp,
    /// How many boards it has.
    #[serde(default)]
    pub boards: u32,
    /// Boards that it reports although another worker has them; they are not taken from it.
    #[serde(default)]
    pub refused: Vec<Serial>,
    /// Whether an operator has taken it out of service: nothing new is placed on it.
    #[serde(default)]
    pub draining: bool,
    /// When it ends the leases that are left, if it is stopping.
    #[serde(default)]
    pub stops: Option<Timestamp>,
}

/// A board, as `GET /v1/boards` tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoardDetail {
    /// Its USB serial number.
    pub serial: Serial,
    /// The name that the operator gave it.
    #[serde(default)]
    pub name: Option<String>,
    /// The worker that it is plugged to.
    pub worker: WorkerName,
    /// Where it stands.
    pub status: BoardStatus,
    /// Why it stands there, if there is more to say.
    #[serde(default)]
    pub reason: Option<String>,
    /// Since when it stands there, as far as is known.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Whether it is simulated.
    pub simulated: bool,
    /// Labels: those that the operator gave it, and those that its worker knows of.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Whether it is going out of service, or is out of it: an operator drains it or its worker, or
    /// the worker is stopping. Nothing new is placed on it.
    #[serde(default)]
    pub draining: bool,
    /// Whether an operator drains this board itself.
    #[serde(default)]
    pub drained: bool,
    /// The lease on it, if somebody holds one.
    #[serde(default)]
    pub lease: Option<LeaseDetail>,
}

/// A lease, as `GET /v1/leases` tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeaseDetail {
    /// The lease, which is the fencing token.
    pub lease: LeaseId,
    /// The board.
    pub serial: Serial,
    /// Who holds it.
    pub client: ClientName,
    /// What the board does.
    pub kind: Kind,
    /// The keys of the arguments that the kind was given, sorted. What they are is the holder's.
    #[serde(default)]
    pub args: Vec<String>,
    /// What the boards of one request share.
    pub reservation: ReservationId,
    /// When it was granted.
    pub since: Timestamp,
    /// How long it lasts from now on, in milliseconds, unless it is extended.
    pub expires_in_ms: u64,
    /// When it ends by control's time, unless it is extended.
    #[serde(default)]
    pub expires: Timestamp,
    /// Whether the living socket of its holder extends it.
    #[serde(default)]
    pub renewed_by_socket: bool,
    /// How far it is on the worker; absent as long as the worker has not taken it.
    #[serde(default)]
    pub phase: Option<LeasePhase>,
}

/// Everything that control knows of one board, as `GET /v1/boards/SERIAL` tells it: the keys of
/// [`BoardDetail`] and these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoardInFull {
    /// The board as in the list.
    #[serde(flatten)]
    pub board: BoardDetail,
    /// In a sentence, for people, why the board is where it is.
    pub why: String,
    /// Whether control reaches its worker.
    pub contact: WorkerContact,
    /// When its worker last answered; absent if control does not know the worker.
    #[serde(default)]
    pub last_contact: Option<Timestamp>,
    /// Where its worker listens; absent if control does not know the worker.
    #[serde(default)]
    pub worker_url: Option<String>,
    /// What its worker said last, which counts less than what control knows.
    pub reported: BoardStatus,
    /// The highest lease that its worker has seen for it; zero if none.
    pub token: LeaseId,
    /// The last lease that control gave for it, if any. It may be over.
    #[serde(default)]
    pub last_lease: Option<LastLease>,
    /// The kinds that it can be reserved for.
    pub kinds: Vec<Kind>,
    /// What happened to it last, the newest first.
    pub history: Vec<JournalEntry>,
}

/// The last lease that control gave for a board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastLease {
    /// The lease.
    pub lease: LeaseId,
    /// Its kind: the board most likely still has that firmware.
    pub kind: Kind,
}

/// What an operator did to a board: the answer of `POST /v1/boards/SERIAL/end`, `/reboot` and
/// `/delete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardActionAnswer {
    /// The board.
    pub serial: Serial,
    /// The lease that was on it.
    #[serde(default)]
    pub lease: Option<LeaseId>,
    /// Who held it.
    #[serde(default)]
    pub client: Option<ClientName>,
    /// Whether the worker did it. `false`: the worker is gone, and control has forgotten the
    /// board by itself.
    pub reached: bool,
}

/// What is out of service now, or back in it: the answer of `POST /v1/boards/SERIAL/drain` and
/// `/v1/workers/NAME/drain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainAnswer {
    /// The board, if one was meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// The worker, if one was meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerName>,
    /// Whether nothing new is placed on it.
    pub draining: bool,
    /// Its boards that somebody holds: these leases go on.
    pub held: Vec<Serial>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_counts_once() {
        let mut counts = BoardCounts::default();
        for (status, simulated) in [
            (BoardStatus::Available, true),
            (BoardStatus::Reserved, false),
            (BoardStatus::Testing, true),
            (BoardStatus::FlashingDefault, false),
            (BoardStatus::AwaitFlashDefault, false),
            (BoardStatus::Broken, false),
            (BoardStatus::Offline, false),
            (BoardStatus::Draining, false),
        ] {
            counts.add(status, simulated);
        }
        let expected = BoardCounts {
            total: 8,
            available: 1,
            reserved: 1,
            preparing: 3,
            broken: 1,
            offline: 1,
            draining: 1,
            simulated: 2,
        };
        assert_eq!(counts, expected);
    }

    #[test]
    fn boards_of_an_earlier_control_are_read() {
        let json = r#"{"serial":"A","worker":"w","status":"reserved","simulated":false,
            "lease":{"lease":7,"serial":"A","client":"ann","kind":"pulsecount","reservation":"r",
            "since":"2026-11-22T20:15:00.000Z","expires_in_ms":5}}"#;
        let board: BoardDetail = serde_json::from_str(json).unwrap();
        assert_eq!((board.since, board.lease.unwrap().phase), (None, None));
    }
}
