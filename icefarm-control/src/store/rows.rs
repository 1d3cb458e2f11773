//! The tables of the SQLite store, row by row.

use super::{Letter, StoreError, Stream, Trim, journal, waiting};
use crate::machine::{
    Answered, Board, Change, Contact, Drained, Given, Lease, Secret, Worker, millis,
};
use icefarm_core::{ClientName, LeaseId, RequestId, Serial, Timestamp, WorkerName};
use rusqlite::{Connection, Row, params};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

pub(super) type Boxed = Box<dyn Error + Send + Sync>;

/// SQLite's integers have a sign. Nothing that is stored comes near the end of them, except for
/// times that mean never.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn write(db: &Connection, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::WorkerRegistered(worker) => write_worker(db, worker)?,
        Change::WorkerLost { worker, at } => set_lost(db, worker, true, *at)?,
        Change::WorkerFound { worker, at } => set_lost(db, worker, false, *at)?,
        Change::WorkerLeft { worker, at } => {
            db.prepare_cached(
                "UPDATE workers SET has_left = 1, lost = 0, seen = ?2 WHERE name = ?1",
            )?
            .execute(params![worker.as_str(), int(at.0)])?;
        }
        Change::WorkerDrained { worker, on } => {
            set_drained(db, "drained_workers", "name", worker.as_str(), *on)?;
        }
        Change::BoardDrained { serial, on } => {
            set_drained(db, "drained_boards", "serial", serial.as_str(), *on)?;
        }
        Change::WorkerForgotten { worker } => {
            db.prepare_cached("DELETE FROM workers WHERE name = ?1")?
                .execute(params![worker.as_str()])?;
        }
        Change::BoardReported(board) => {
            let report = serde_json::to_string(&board.report)?;
            db.prepare_cached(
                "INSERT INTO boards VALUES (?1, ?2, ?3)
                 ON CONFLICT (serial) DO UPDATE SET worker = ?2, report = ?3",
            )?
            .execute(params![
                board.serial().as_str(),
                board.worker.as_str(),
                report
            ])?;
        }
        Change::BoardRemoved { serial } => {
            db.prepare_cached("DELETE FROM boards WHERE serial = ?1")?
                .execute(params![serial.as_str()])?;
            journal::forget(db, serial)?;
        }
        Change::LeasesMoved { next } => set_next_lease(db, *next)?,
        Change::LeaseGranted(lease) => write_lease(db, lease)?,
        Change::LeaseExtended { serial, revision, expires } => {
            db.prepare_cached(
                "UPDATE leases SET revision = ?2, expires = ?3, warned = 0 WHERE serial = ?1",
            )?
            .execute(params![serial.as_str(), int(*revision), int(expires.0)])?;
        }
        Change::LeaseWarned { serial } => {
            db.prepare_cached("UPDATE leases SET warned = 1 WHERE serial = ?1")?
                .execute(params![serial.as_str()])?;
        }
        Change::LeaseEnded { lease, .. } => {
            db.prepare_cached("DELETE FROM leases WHERE id = ?1")?
                .execute(params![int(lease.id.0)])?;
        }
        Change::RequestAnswered { client, request, answered } => {
            let answered = serde_json::to_string(&**answered)?;
            db.prepare_cached(
                "INSERT INTO requests VALUES (?1, ?2, ?3)
                 ON CONFLICT (client, request) DO UPDATE SET answered = ?3",
            )?
            .execute(params![client.as_str(), request.as_str(), answered])?;
        }
        Change::RequestForgotten { client, request } => {
            db.prepare_cached("DELETE FROM requests WHERE client = ?1 AND request = ?2")?
                .execute(params![client.as_str(), request.as_str()])?;
        }
        Change::WaitBegan(waiting) => waiting::add(db, waiting)?,
        Change::WaitEnded { waiting, .. } => waiting::remove(db, waiting)?,
        Change::BoardLabelled { serial, labels } => waiting::label(db, serial, labels)?,
        Change::WorkerHeard { .. }
        | Change::WaiterSeen { .. }
        | Change::WorkerSilent { .. }
        | Change::WorkerStops { .. }
        | Change::Woke { .. }
        | Change::ClaimsRefused { .. }
        | Change::BoardMissing { .. } => {}
    }
    Ok(())
}

fn write_worker(db: &Connection, worker: &Worker) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO workers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (name) DO UPDATE SET url = ?2, version = ?3, incarnation = ?4, former = ?5,
         secret = ?6, kinds = ?7, plugins = ?8, seen = ?9, lost = ?10, has_left = ?11",
    )?
    .execute(params![
        worker.name.as_str(),
        worker.url,
        worker.version,
        worker.incarnation.as_str(),
        worker.former.as_ref().map(|former| former.as_str()),
        worker.secret.0,
        serde_json::to_string(&worker.kinds)?,
        serde_json::to_string(&worker.plugins)?,
        int(worker.seen.0),
        worker.contact == Contact::Lost,
        worker.contact == Contact::Left,
    ])?;
    Ok(())
}

fn set_lost(
    db: &Connection,
    worker: &WorkerName,
    lost: bool,
    at: Timestamp,
) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE workers SET lost = ?2, seen = ?3, has_left = 0 WHERE name = ?1")?
        .execute(params![worker.as_str(), lost, int(at.0)])
        .map(drop)
}

fn set_drained(
    db: &Connection,
    table: &str,
    column: &str,
    name: &str,
    on: bool,
) -> rusqlite::Result<()> {
    let change = if on {
        format!("INSERT INTO {table} VALUES (?1) ON CONFLICT ({column}) DO NOTHING")
    } else {
        format!("DELETE FROM {table} WHERE {column} = ?1")
    };
    db.prepare_cached(&change)?.execute(params![name]).map(drop)
}

fn set_next_lease(db: &Connection, next: LeaseId) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE meta SET next_lease = ?1")?.execute(params![int(next.0)]).map(drop)
}

fn write_lease(db: &Connection, lease: &Lease) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO leases VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        int(lease.id.0),
        int(lease.revision),
        lease.serial.as_str(),
        lease.client.as_str(),
        lease.instance.as_ref().map(|instance| instance.as_str()),
        lease.kind.as_str(),
        serde_json::to_string(&lease.args)?,
        lease.reservation.as_str(),
        int(lease.granted.0),
        int(lease.expires.0),
        int(millis(lease.ttl)),
        lease.renewed_by_socket,
        lease.warned,
    ])?;
    db.prepare_cached(
        "INSERT INTO given VALUES (?1, ?2, ?3)
         ON CONFLICT (serial) DO UPDATE SET lease = ?2, kind = ?3",
    )?
    .execute(params![lease.serial.as_str(), int(lease.id.0), lease.kind.as_str()])?;
    Ok(set_next_lease(db, LeaseId(lease.id.0 + 1))?)
}

/// Gives a letter the next number of its client's stream.
pub(super) fn number(
    db: &Connection,
    client: &ClientName,
    letter: &Letter,
    at: Timestamp,
) -> Result<u64, StoreError> {
    let seq: i64 = db
        .prepare_cached(
            "INSERT INTO streams VALUES (?1, 1, 0, ?2)
             ON CONFLICT (client) DO UPDATE SET seq = seq + 1, used = ?2 RETURNING seq",
        )?
        .query_row(params![client.as_str(), int(at.0)], |row| row.get(0))?;
    let contents = serde_json::to_string(&letter.contents)?;
    db.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        client.as_str(),
        seq,
        letter.serial.as_str(),
        contents
    ])?;
    Ok(seq.unsigned_abs())
}

/// Forgets the beginning of a stream.
pub(super) fn trim(db: &Connection, trim: &Trim) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM events WHERE client = ?1 AND seq <= ?2")?
        .execute(params![trim.client.as_str(), int(trim.through)])?;
    db.prepare_cached("UPDATE streams SET dropped = max(dropped, ?2) WHERE client = ?1")?
        .execute(params![trim.client.as_str(), int(trim.dropped)])
        .map(drop)
}

/// One row, column after column.
pub(super) struct Reader<'a> {
    row: &'a Row<'a>,
    next: usize,
}

impl Reader<'_> {
    pub(super) fn raw<T: rusqlite::types::FromSql>(&mut self) -> Result<T, Boxed> {
        self.next += 1;
        Ok(self.row.get(self.next - 1)?)
    }

    pub(super) fn text(&mut self) -> Result<String, Boxed> {
        self.raw()
    }

    pub(super) fn name<T: TryFrom<String, Error: Into<Boxed>>>(&mut self) -> Result<T, Boxed> {
        T::try_from(self.text()?).map_err(Into::into)
    }

    pub(super) fn token<T: From<String>>(&mut self) -> Result<T, Boxed> {
        Ok(T::from(self.text()?))
    }

    fn optional<T: From<String>>(&mut self) -> Result<Option<T>, Boxed> {
        Ok(self.raw::<Option<String>>()?.map(T::from))
    }

    pub(super) fn json<T: DeserializeOwned>(&mut self) -> Result<T, Boxed> {
        Ok(serde_json::from_str(&self.text()?)?)
    }

    pub(super) fn number(&mut self) -> Result<u64, Boxed> {
        Ok(u64::try_from(self.raw::<i64>()?)?)
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, Boxed> {
        self.number().map(Timestamp)
    }
}

pub(super) fn read<T>(
    db: &Connection,
    table: &'static str,
    columns: &str,
    mut each: impl FnMut(&mut Reader<'_>) -> Result<T, Boxed>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = db.prepare(&format!("SELECT {columns} FROM {table}"))?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let entry = each(&mut Reader { row, next: 0 });
        all.push(entry.map_err(|source| StoreError::Unreadable { table, source })?);
    }
    Ok(all)
}

pub(super) fn workers(db: &Connection) -> Result<BTreeMap<WorkerName, Arc<Worker>>, StoreError> {
    let columns =
        "name, url, version, incarnation, former, secret, kinds, plugins, seen, lost, has_left";
    let workers = read(db, "workers", columns, |row| {
        Ok(Worker {
            name: row.name()?,
            url: row.text()?,
            version: row.text()?,
            incarnation: row.token()?,
            former: row.optional()?,
            secret: Secret(row.text()?),
            kinds: row.json()?,
            plugins: row.json()?,
            seen: row.time()?,
            contact: match (row.raw()?, row.raw()?) {
                (_, true) => Contact::Left,
                (true, _) => Contact::Lost,
                _ => Contact::Awaited,
            },
            heard: None,
            answered: true,
            refused: BTreeSet::new(),
            stops: None,
        })
    })?;
    Ok(workers.into_iter().map(|worker| (worker.name.clone(), Arc::new(worker))).collect())
}

pub(super) fn boards(db: &Connection) -> Result<BTreeMap<Serial, Arc<Board>>, StoreError> {
    let boards = read(db, "boards", "worker, report", |row| {
        Ok(Board { worker: row.name()?, report: row.json()?, missing: None })
    })?;
    Ok(boards.into_iter().map(|board| (board.serial().clone(), Arc::new(board))).collect())
}

pub(super) fn drained(db: &Connection) -> Result<Drained, StoreError> {
    let workers = read(db, "drained_workers", "name", |row| row.name())?;
    let boards = read(db, "drained_boards", "serial", |row| row.name())?;
    Ok(Drained { workers: workers.into_iter().collect(), boards: boards.into_iter().collect() })
}

pub(super) fn leases(db: &Connection) -> Result<BTreeMap<Serial, Arc<Lease>>, StoreError> {
    let columns = "id, revision, serial, client, instance, kind, args, reservation, granted, \
                   expires, ttl_ms, renewed_by_socket, warned";
    let leases = read(db, "leases", columns, |row| {
        Ok(Lease {
            id: LeaseId(row.number()?),
            revision: row.number()?,
            serial: row.name()?,
            client: row.name()?,
            instance: row.optional()?,
            kind: row.name()?,
            args: row.json()?,
            reservation: row.token()?,
            granted: row.time()?,
            expires: row.time()?,
            ttl: Duration::from_millis(row.number()?),
            renewed_by_socket: row.raw()?,
            warned: row.raw()?,
        })
    })?;
    Ok(leases.into_iter().map(|lease| (lease.serial.clone(), Arc::new(lease))).collect())
}

pub(super) fn given(db: &Connection) -> Result<BTreeMap<Serial, Given>, StoreError> {
    let given = read(db, "given", "serial, lease, kind", |row| {
        Ok((row.name()?, Given { lease: LeaseId(row.number()?), kind: row.name()? }))
    })?;
    Ok(given.into_iter().collect())
}

type Requests = BTreeMap<(ClientName, RequestId), Arc<Answered>>;

pub(super) fn requests(db: &Connection) -> Result<Requests, StoreError> {
    let requests = read(db, "requests", "client, request, answered", |row| {
        Ok(((row.name()?, row.token()?), Arc::new(row.json()?)))
    })?;
    Ok(requests.into_iter().collect())
}

pub(super) fn streams(db: &Connection) -> Result<BTreeMap<ClientName, Stream>, StoreError> {
    let streams = read(db, "streams", "client, seq, dropped", |row| {
        let client = row.name()?;
        let (seq, dropped) = (row.number()?, row.number()?);
        Ok((client, Stream { seq, dropped, letters: Vec::new() }))
    })?;
    let mut streams: BTreeMap<ClientName, Stream> = streams.into_iter().collect();
    let letters = read(db, "events", "client, seq, serial, contents", |row| {
        let (client, seq): (ClientName, _) = (row.name()?, row.number()?);
        Ok((client, seq, Letter { serial: row.name()?, contents: row.json()? }))
    })?;
    // The table is in the order of client and number.
    for (client, seq, letter) in letters {
        streams.entry(client).or_default().letters.push((seq, letter));
    }
    Ok(streams)
}
