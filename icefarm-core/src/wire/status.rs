//! Where a board stands in its life.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A board's status, with the words that the Python system uses where it has one.
///
/// plugged -> `await_flash_default` -> `flashing_default` -> `testing` -> `available` ->
/// `reserved` -> (end) `await_flash_default` ..; any failure leads to recovery and from there to
/// `available` or `broken`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BoardStatus {
    /// It waits to be brought back to its default firmware.
    AwaitFlashDefault,
    /// The default firmware is being written.
    FlashingDefault,
    /// It is checked before it is offered.
    Testing,
    /// It can be reserved.
    Available,
    /// Somebody holds a lease on it.
    Reserved,
    /// Recovery failed: it is not offered until somebody looks at it. The reason stands beside.
    Broken,
    /// Its worker cannot be reached, or the board is not on the bus.
    Offline,
    /// It is not offered because an operator is taking it, or its worker, out of service.
    Draining,
}

impl BoardStatus {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::AwaitFlashDefault,
        Self::FlashingDefault,
        Self::Testing,
        Self::Available,
        Self::Reserved,
        Self::Broken,
        Self::Offline,
        Self::Draining,
    ];

    /// The status of this word, if it is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.as_str() == word)
    }

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwaitFlashDefault => "await_flash_default",
            Self::FlashingDefault => "flashing_default",
            Self::Testing => "testing",
            Self::Available => "available",
            Self::Reserved => "reserved",
            Self::Broken => "broken",
            Self::Offline => "offline",
            Self::Draining => "draining",
        }
    }
}

impl fmt::Display for BoardStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
