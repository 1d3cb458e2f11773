//! The tables of requests that wait, and of labels.

use super::StoreError;
use super::rows::{int, read};
use crate::machine::{Labels, Waiting};
use icefarm_core::Serial;
use icefarm_core::wire::ReserveRequest;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn add(db: &Connection, waiting: &Waiting) -> Result<(), StoreError> {
    db.prepare_cached("INSERT INTO queue VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        int(waiting.arrival),
        waiting.reservation.as_str(),
        serde_json::to_string(&*waiting.request)?,
        int(waiting.since.0),
        int(waiting.until.0),
    ])?;
    Ok(())
}

pub(super) fn remove(db: &Connection, waiting: &Waiting) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM queue WHERE arrival = ?1")?
        .execute(params![int(waiting.arrival)])?;
    Ok(())
}

pub(super) fn label(db: &Connection, serial: &Serial, labels: &Labels) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM labels WHERE serial = ?1")?.execute(params![serial.as_str()])?;
    let mut insert = db.prepare_cached("INSERT INTO labels VALUES (?1, ?2, ?3)")?;
    for (key, value) in labels {
        insert.execute(params![serial.as_str(), key, value])?;
    }
    Ok(())
}

pub(super) fn queue(db: &Connection) -> Result<BTreeMap<u64, Arc<Waiting>>, StoreError> {
    let queue = read(db, "queue", "arrival, reservation, request, since, until", |row| {
        let (arrival, reservation) = (row.number()?, row.token()?);
        let request: Arc<ReserveRequest> = Arc::new(row.json()?);
        let since = row.time()?;
        let until = row.time()?;
        Ok(Waiting { arrival, request, reservation, since, until, seen: since })
    })?;
    Ok(queue.into_iter().map(|waiting| (waiting.arrival, Arc::new(waiting))).collect())
}

pub(super) fn labels(db: &Connection) -> Result<BTreeMap<Serial, Arc<Labels>>, StoreError> {
    let rows = read(db, "labels", "serial, key, value", |row| {
        Ok((row.name::<Serial>()?, row.text()?, row.text()?))
    })?;
    let mut labels: BTreeMap<Serial, Labels> = BTreeMap::new();
    for (serial, key, value) in rows {
        labels.entry(serial).or_default().insert(key, value);
    }
    Ok(labels.into_iter().map(|(serial, labels)| (serial, Arc::new(labels))).collect())
}
