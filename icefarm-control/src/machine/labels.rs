//! Names and labels that operators give to boards. They belong to the serial: a board that is
//! plugged in elsewhere, or comes back after months, keeps them.

use super::draft::Draft;
use super::{Answer, Board, Change, Farm, Refusal};
use icefarm_core::Serial;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The label that is a board's name: no two boards have the same.
pub const NAME_LABEL: &str = "name";
/// The label that every simulated board has, and that nobody gives or takes.
const SIMULATED: &str = "simulated";
/// How many labels a board may have.
const MAX_LABELS: usize = 32;
/// How many bytes a key, a name or a value may have.
const MAX_BYTES: usize = 64;

/// Labels by their keys.
pub type Labels = BTreeMap<String, String>;

impl Farm {
    /// The name that the operator gave a board.
    #[must_use]
    pub fn name_of(&self, serial: &Serial) -> Option<&str> {
        self.labels.get(serial)?.get(NAME_LABEL).map(String::as_str)
    }

    /// A board's labels, without its name.
    #[must_use]
    pub fn labels_of(&self, board: &Board) -> Labels {
        let mut labels = board.report.labels.clone();
        if let Some(own) = self.labels.get(board.serial()) {
            labels.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        labels.remove(NAME_LABEL);
        if board.report.simulated {
            labels.insert(SIMULATED.to_owned(), "true".to_owned());
        } else {
            labels.remove(SIMULATED);
        }
        labels
    }

    fn has_label(&self, board: &Board, key: &str, value: &str) -> bool {
        if key == SIMULATED {
            return board.report.simulated == (value == "true");
        }
        let own = self.labels.get(board.serial()).and_then(|labels| labels.get(key));
        let reported = || board.report.labels.get(key).filter(|_| key != NAME_LABEL);
        own.or_else(reported).is_some_and(|label| label == value)
    }

    /// The first of these labels that the board does not have.
    pub(super) fn lacking<'a>(
        &self,
        board: &Board,
        labels: &'a Labels,
    ) -> Option<(&'a str, &'a str)> {
        let mut labels = labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        labels.find(|(key, value)| !self.has_label(board, key, value))
    }

    pub(super) fn has_labels(&self, board: &Board, labels: &Labels) -> bool {
        self.lacking(board, labels).is_none()
    }
}

/// Gives a board labels, and takes others from it.
pub(super) fn label(
    draft: &mut Draft<'_>,
    serial: Serial,
    set: Labels,
    remove: &[String],
) -> Result<Answer, Refusal> {
    let farm = draft.farm();
    let before = farm.labels.get(&serial);
    if before.is_none() && !farm.boards.contains_key(&serial) {
        return Err(Refusal::UnknownSerial { serial });
    }
    let keys: BTreeSet<&String> = set.keys().chain(remove).collect();
    for key in keys {
        check_key(key)?;
    }
    let mut labels = before.map(|labels| (**labels).clone()).unwrap_or_default();
    labels.retain(|key, _| !remove.contains(key));
    for (key, value) in set {
        check_value(&key, &value)?;
        if key == NAME_LABEL {
            check_name(farm, &serial, &value)?;
        }
        labels.insert(key, value);
    }
    if labels.len() > MAX_LABELS {
        return Err(bad(format!("a board has at most {MAX_LABELS} labels")));
    }
    if before.map_or(!labels.is_empty(), |before| **before != labels) {
        draft.change(Change::BoardLabelled { serial, labels: Arc::new(labels) });
    }
    Ok(Answer::Done)
}

fn bad(reason: String) -> Refusal {
    Refusal::BadLabel { reason }
}

fn is_plain(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.len() <= MAX_BYTES
        && text.bytes().all(is_plain)
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
}

fn check_key(key: &str) -> Result<(), Refusal> {
    if key == SIMULATED {
        return Err(bad(
            "`simulated` is no label to give or take: a board is simulated or not".to_owned()
        ));
    }
    // A key that ends so would read as one to be taken away.
    if !is_plain(key) || key.ends_with('-') {
        return Err(bad(format!(
            "`{key}` is no key of a label: it takes 1 to {MAX_BYTES} letters, digits, `.`, `_` \
             and `-`, a letter or digit first and no `-` at the end"
        )));
    }
    Ok(())
}

fn check_value(key: &str, value: &str) -> Result<(), Refusal> {
    if value.is_empty() || value.len() > MAX_BYTES || value.chars().any(char::is_control) {
        return Err(bad(format!(
            "the value of `{key}` must have 1 to {MAX_BYTES} bytes and no control characters; to \
             take a label away, remove its key"
        )));
    }
    Ok(())
}

fn check_name(farm: &Farm, serial: &Serial, name: &str) -> Result<(), Refusal> {
    if !is_plain(name) {
        return Err(bad(format!(
            "`{name}` is no name of a board: it takes 1 to {MAX_BYTES} letters, digits, `.`, `_` \
             and `-`, a letter or digit first"
        )));
    }
    let others = farm.labels.iter().filter(|(other, _)| *other != serial);
    let mut named =
        others.filter(|(_, labels)| labels.get(NAME_LABEL).is_some_and(|other| other == name));
    let namesake = named.next().map(|(other, _)| other);
    // Names stand where serials may, so a name that is a serial would mean two boards.
    let is_serial = |other: &&Serial| *other != serial && other.as_str() == name;
    if let Some(other) = namesake.or_else(|| farm.boards.keys().find(is_serial)) {
        return Err(Refusal::NameInUse { name: name.to_owned(), serial: other.clone() });
    }
    Ok(())
}
