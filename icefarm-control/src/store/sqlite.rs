//! The store in one SQLite file.

use super::{AuditWanted, Batch, Store, StoreError, Stored, access, journal, rows, waiting};
use crate::machine::{Farm, Rules};
use icefarm_core::wire::AuditEntry;
use icefarm_core::{Epoch, LeaseId, Timestamp};
use rusqlite::{Connection, ErrorCode, OpenFlags, params};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The steps from an empty database to the present schema. Steps are only added.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001.sql"),
    include_str!("../../migrations/0002.sql"),
    include_str!("../../migrations/0003.sql"),
    include_str!("../../migrations/0004.sql"),
    include_str!("../../migrations/0005.sql"),
];
/// Marks a database as ours: "iceF".
const APPLICATION_ID: i64 = 0x6963_6546;
/// How long another program may take to let go of the file, as when control is restarted.
const PATIENCE: Duration = Duration::from_secs(2);
/// An event stream that nothing was sent on for so long is forgotten.
const FORGET_STREAM_AFTER: Duration = Duration::from_secs(30 * 24 * 3600);

/// The store in an SQLite database: write-ahead log, every commit on the disk before it is
/// answered, used by one program at a time.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
}

impl SqliteStore {
    /// Opens the database at `path`, or makes a new one there that only its owner can read.
    ///
    /// # Errors
    /// [`StoreError`] if it is in use, damaged, of a later version, or not ours.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let failed = |source| StoreError::Open { path: path.into(), source };
        create(path).map_err(|error| failed(error.into()))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(path, flags).map_err(|error| explain(path, error))?;
        Self::prepare(connection, path)
    }

    /// A database that ends with the program.
    ///
    /// # Errors
    /// [`StoreError`] if there is no memory.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::prepare(Connection::open_in_memory()?, Path::new(":memory:"))
    }

    fn prepare(mut connection: Connection, path: &Path) -> Result<Self, StoreError> {
        configure(&connection).map_err(|error| explain(path, error))?;
        let damage: String = connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(|error| explain(path, error))?;
        if damage != "ok" {
            return Err(StoreError::Damaged { path: path.into(), reason: damage });
        }
        migrate(&mut connection, path)?;
        Ok(Self { connection })
    }
}

/// Makes the file if there is none. It holds the secrets of workers.
fn create(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    // Set before anything is read, so that the lock is taken by the first reading and kept.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.execute_batch("BEGIN IMMEDIATE; COMMIT")
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (found, application) = (number("user_version")?, number("application_id")?);
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let is_new = found == 0 && application == 0 && objects == 0;
    if !is_new && application != APPLICATION_ID {
        return Err(StoreError::Foreign { path: path.into() });
    }
    let damaged = |reason: &str| StoreError::Damaged { path: path.into(), reason: reason.into() };
    if !is_new && objects > 0 && found <= 0 {
        return Err(damaged("it has tables, and no version of their schema"));
    }
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::Newer { path: path.into(), found, known });
    }
    let done = usize::try_from(found).unwrap_or(0);
    for (step, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration).map_err(|error| match error {
            // What is said beside the message is the whole migration.
            rusqlite::Error::SqlInputError { msg, .. } => {
                damaged(&format!("it cannot be upgraded to version {}: {msg}", step + 1))
            }
            error => error.into(),
        })?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", rows::int(step as u64 + 1))?;
        transaction.commit()?;
        if found > 0 {
            tracing::info!(path = %path.display(), version = step + 1, "the database was upgraded");
        }
    }
    Ok(())
}

/// An error at opening, for people.
fn explain(path: &Path, error: rusqlite::Error) -> StoreError {
    let path = PathBuf::from(path);
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::InUse { path },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged { path, reason: error.to_string() }
        }
        _ => StoreError::Open { path, source: error.into() },
    }
}

impl Store for SqliteStore {
    fn load(&mut self, rules: Rules, started: Timestamp) -> Result<Stored, StoreError> {
        let transaction = self.connection.transaction()?;
        let old = started.0.saturating_sub(crate::machine::millis(FORGET_STREAM_AFTER));
        transaction.execute(
            "DELETE FROM streams WHERE used < ?1
             AND NOT EXISTS (SELECT 1 FROM events WHERE events.client = streams.client)",
            params![rows::int(old)],
        )?;
        let (epoch, next): (String, i64) =
            transaction.query_row("SELECT epoch, next_lease FROM meta", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let farm = Farm {
            next_lease: LeaseId(next.unsigned_abs()),
            workers: rows::workers(&transaction)?,
            boards: rows::boards(&transaction)?,
            leases: rows::leases(&transaction)?,
            given: rows::given(&transaction)?,
            drained: rows::drained(&transaction)?,
            requests: rows::requests(&transaction)?,
            queue: waiting::queue(&transaction)?,
            labels: waiting::labels(&transaction)?,
            ..Farm::empty(rules, started)
        };
        let stored = Stored {
            farm,
            epoch: Epoch::from(epoch),
            streams: rows::streams(&transaction)?,
            journal: journal::entries(&transaction)?,
            standings: journal::standings(&transaction)?,
            tokens: access::tokens(&transaction)?,
            last_audit: access::last_audit(&transaction)?,
        };
        transaction.commit()?;
        Ok(stored)
    }

    fn commit(&mut self, batch: &Batch) -> Result<Vec<u64>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let transaction = self.connection.transaction()?;
        for change in &batch.changes {
            rows::write(&transaction, change)?;
        }
        let mut numbers = Vec::with_capacity(batch.letters.len());
        for (client, letter) in &batch.letters {
            numbers.push(rows::number(&transaction, client, letter, batch.at)?);
        }
        for trim in &batch.trims {
            rows::trim(&transaction, trim)?;
        }
        journal::write(&transaction, &batch.entries)?;
        for change in &batch.tokens {
            access::write_token(&transaction, change)?;
        }
        access::write_audit(&transaction, &batch.audit, batch.audit_kept)?;
        transaction.commit()?;
        Ok(numbers)
    }

    fn audit(&mut self, wanted: &AuditWanted) -> Result<Vec<AuditEntry>, StoreError> {
        access::audit(&self.connection, wanted)
    }
}
