//! The tables of the SQLite store that say what happened.

use super::rows::{Boxed, Reader, int, read};
use super::{JOURNAL_KEPT, Standing, StoreError};
use icefarm_core::wire::{BoardStatus, Happening, JournalEntry};
use icefarm_core::{LeaseId, Serial};
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// Writes entries down, with what they say of where boards stand, and lets the oldest go.
pub(super) fn write(db: &Connection, entries: &[JournalEntry]) -> Result<(), StoreError> {
    let Some(last) = entries.last() else { return Ok(()) };
    for entry in entries {
        insert(db, entry)?;
        if let (Some(serial), Some(status)) = (&entry.serial, entry.status) {
            db.prepare_cached(
                "INSERT INTO standing VALUES (?1, ?2, ?3)
                 ON CONFLICT (serial) DO UPDATE SET status = ?2, since = ?3",
            )?
            .execute(params![serial.as_str(), status.as_str(), int(entry.at.0)])?;
        }
    }
    db.prepare_cached("DELETE FROM journal WHERE seq <= ?1")?
        .execute(params![int(last.seq.saturating_sub(JOURNAL_KEPT))])?;
    Ok(())
}

fn insert(db: &Connection, entry: &JournalEntry) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO journal VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?
        .execute(params![
            int(entry.seq),
            int(entry.at.0),
            entry.what.as_str(),
            entry.text,
            entry.warning,
            entry.serial.as_ref().map(Serial::as_str),
            entry.status.map(BoardStatus::as_str),
            entry.worker.as_ref().map(|worker| worker.as_str()),
            entry.lease.map(|lease| int(lease.0)),
            entry.client.as_ref().map(|client| client.as_str()),
        ])
        .map(drop)
}

/// The board is not there any more, so it stands nowhere.
pub(super) fn forget(db: &Connection, serial: &Serial) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM standing WHERE serial = ?1")?
        .execute(params![serial.as_str()])
        .map(drop)
}

pub(super) fn entries(db: &Connection) -> Result<Vec<JournalEntry>, StoreError> {
    let columns = "seq, at, what, text, warning, serial, status, worker, lease, client";
    // The table is in the order of its key.
    read(db, "journal", columns, |row| {
        Ok(JournalEntry {
            seq: row.number()?,
            at: row.time()?,
            what: Happening::from_word(&row.text()?),
            text: row.text()?,
            warning: row.raw()?,
            serial: name(row)?,
            status: row.raw::<Option<String>>()?.as_deref().map(status).transpose()?,
            worker: name(row)?,
            lease: row.raw::<Option<i64>>()?.map(|lease| LeaseId(lease.unsigned_abs())),
            client: name(row)?,
        })
    })
}

pub(super) fn standings(db: &Connection) -> Result<BTreeMap<Serial, Standing>, StoreError> {
    let standings = read(db, "standing", "serial, status, since", |row| {
        Ok((row.name()?, Standing { status: status(&row.text()?)?, since: row.time()? }))
    })?;
    Ok(standings.into_iter().collect())
}

fn name<T: TryFrom<String, Error: Into<Boxed>>>(row: &mut Reader<'_>) -> Result<Option<T>, Boxed> {
    row.raw::<Option<String>>()?.map(|text| T::try_from(text).map_err(Into::into)).transpose()
}

fn status(word: &str) -> Result<BoardStatus, Boxed> {
    BoardStatus::from_word(word).ok_or_else(|| format!("`{word}` is no status of a board").into())
}
