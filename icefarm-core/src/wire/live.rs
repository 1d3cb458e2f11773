//! The farm as it changes, over the websocket `/v1/live`.

use super::{BoardDetail, FarmStatus, JournalEntry, QueueEntry, WorkerDetail};
use crate::{Serial, WorkerName};
use serde::{Deserialize, Serialize};

/// What control sends over `/v1/live`, as one JSON text each. The first is a snapshot; after it
/// come the changes since the message before, at most a few in a second. A listener that is slow
/// misses nothing but what lies between: what it is sent next is the farm as it is then, and a
/// snapshot if it was away for long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum LiveMessage {
    /// Everything. What was known before is not there any more unless it is in here.
    Snapshot(LiveSnapshot),
    /// What is different.
    Change(LiveChange),
}

/// Everything that `/v1/live` shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveSnapshot {
    /// The farm at a glance.
    pub status: FarmStatus,
    /// All workers, by name.
    pub workers: Vec<WorkerDetail>,
    /// All boards, by serial.
    pub boards: Vec<BoardDetail>,
    /// All requests that wait for boards, the next to be served first.
    #[serde(default)]
    pub queue: Vec<QueueEntry>,
    /// What happened last, the oldest first: some hundred entries at most.
    pub events: Vec<JournalEntry>,
}

/// What is different since the last message of `/v1/live`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveChange {
    /// The farm at a glance.
    pub status: FarmStatus,
    /// Workers that are new or different, each in full.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<WorkerDetail>,
    /// Workers that are not there any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers_gone: Vec<WorkerName>,
    /// Boards that are new or different, each in full.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boards: Vec<BoardDetail>,
    /// Boards that are not there any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boards_gone: Vec<Serial>,
    /// All requests that wait for boards, if anything about them is different.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Vec<QueueEntry>>,
    /// What happened since, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<JournalEntry>,
}
