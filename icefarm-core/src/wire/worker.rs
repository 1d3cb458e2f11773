//! Between the control server and the workers.

use super::{BoardStatus, ErrorCode, HeartbeatNews};
use crate::{
    ClientName, Incarnation, Kind, KindInfo, LeaseId, Object, PluginInfo, Serial, WorkerName,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Control to worker, `/reserve`: make the board ready for the client. Repeating it for the same
/// lease changes nothing; for a lower lease than one seen it is answered `stale_lease`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReserveBoard {
    /// The board.
    pub serial: Serial,
    /// The state that it shall be in.
    pub kind: Kind,
    /// The state's arguments.
    #[serde(default)]
    pub args: Object,
    /// The lease, which is the fencing token.
    pub lease: LeaseId,
    /// Which revision of the lease this is: it rises when the lease is extended.
    #[serde(default)]
    pub lease_rev: u64,
    /// Who holds the lease and may command the board.
    pub client: ClientName,
    /// The name that the operator gave the board.
    #[serde(default)]
    pub name: Option<String>,
    /// How long the lease lasts from now on, in milliseconds.
    pub expires_in_ms: u64,
}

/// Control to worker, `/extend`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtendBoard {
    /// The board.
    pub serial: Serial,
    /// The lease.
    pub lease: LeaseId,
    /// A revision that is not higher than the last one seen is ignored.
    pub lease_rev: u64,
    /// How long the lease lasts from now on, in milliseconds.
    pub expires_in_ms: u64,
}

/// Control to worker, `/end`. It also tells the worker the token: a later `/reserve` under a
/// lower or the same lease is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndBoard {
    /// The board.
    pub serial: Serial,
    /// The lease that is over.
    pub lease: LeaseId,
}

/// Control to worker, `/reboot` and `/delete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneBoard {
    /// The board.
    pub serial: Serial,
    /// The lease under which it is to be rebooted: a worker that has seen a later one refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseId>,
}

/// Worker to control, `POST /worker/register`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// The worker's name.
    pub name: WorkerName,
    /// Where clients and control reach it, `http://HOST:PORT`; without it control takes the
    /// address that the request came from, and `port`.
    #[serde(default)]
    pub url: Option<String>,
    /// The port that the worker listens on.
    pub port: u16,
    /// The version of the worker's program.
    pub version: String,
    /// The protocol version, as in [`PROTOCOL`](super::PROTOCOL).
    pub protocol: String,
    /// Which start of the worker this is.
    pub incarnation: Incarnation,
    /// What control must show, as a bearer token, at every path of this worker.
    pub secret: String,
    /// What the worker's boards can do.
    pub kinds: Vec<KindInfo>,
    /// The plug-in crates that are linked into the worker.
    #[serde(default)]
    pub plugins: Vec<PluginInfo>,
    /// The boards that it has now.
    pub boards: Vec<BoardReport>,
    /// As [`BoardsReport::stops_in_ms`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stops_in_ms: Option<u64>,
}

/// The answer to a [`Registration`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationAnswer {
    /// The address under which control tells clients to reach this worker.
    pub url: String,
    /// How often control asks for a heartbeat, in milliseconds. A worker that hears nothing for
    /// three times as long registers again.
    pub heartbeat_ms: u64,
    /// Control's time, and whether clients must show tickets. Nothing: they need not.
    #[serde(flatten)]
    pub news: Option<HeartbeatNews>,
}

/// Worker to control, `POST /worker/boards`: boards whose report has changed. It carries the
/// worker's secret as bearer token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoardsReport {
    /// The worker.
    pub worker: WorkerName,
    /// Which start of it speaks. Reports of an earlier one are refused.
    pub incarnation: Incarnation,
    /// The boards that changed.
    pub boards: Vec<BoardReport>,
    /// Boards that the worker no longer has.
    #[serde(default)]
    pub gone: Vec<Serial>,
    /// The worker is stopping: it ends the leases that are left so many milliseconds from now, and
    /// nothing new may be placed on it. Absent as long as it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stops_in_ms: Option<u64>,
    /// The worker has stopped: it ends no more leases, answers no more heartbeats, and is not to be
    /// waited for. This start of it says nothing after that.
    #[serde(default, skip_serializing_if = "is_false")]
    pub left: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// The worker's answer to `/heartbeat`: everything it has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeartbeatAnswer {
    /// The worker.
    pub worker: WorkerName,
    /// Which start of it answers.
    pub incarnation: Incarnation,
    /// All its boards.
    pub boards: Vec<BoardReport>,
    /// As [`BoardsReport::stops_in_ms`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stops_in_ms: Option<u64>,
}

/// What a worker says of one of its boards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoardReport {
    /// The board.
    pub serial: Serial,
    /// Where it stands.
    pub status: BoardStatus,
    /// Why it stands there, if there is more to say.
    #[serde(default)]
    pub reason: Option<String>,
    /// Whether it is simulated.
    pub simulated: bool,
    /// Labels that come with the board, as `simulated=true`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The highest lease that the worker has seen for the board; zero if none. Control offers the
    /// board only if this is the last lease that it gave, so a report that was under way while a
    /// lease was granted cannot free the board.
    pub token: LeaseId,
    /// Rises with every change of this board's report while the worker runs, so that reports
    /// which overtake each other are put in order.
    pub rev: u64,
    /// The lease that it serves now.
    #[serde(default)]
    pub lease: Option<LeaseReport>,
    /// The last lease that the worker ended by itself, until control ends it too.
    #[serde(default)]
    pub ended: Option<EndedLease>,
}

/// A lease as the worker serves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseReport {
    /// The lease.
    pub lease: LeaseId,
    /// Who holds it.
    pub client: ClientName,
    /// How far it is.
    pub phase: LeasePhase,
}

/// How far a lease is on its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LeasePhase {
    /// The state is being started.
    Initializing,
    /// The state takes commands.
    Ready,
    /// The state is being stopped.
    Ending,
}

/// A lease that the worker ended by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedLease {
    /// The lease.
    pub lease: LeaseId,
    /// Why it could not go on.
    pub reason: String,
    /// The same for programs, where the worker would have refused the reservation had it known:
    /// `bad_arguments` if the state does not take the values of `args`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ErrorCode>,
    /// The board could have gone on: the worker ended the lease because it stops.
    #[serde(default, skip_serializing_if = "is_false")]
    pub drained: bool,
}
