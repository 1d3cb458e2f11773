//! What is true of the SQLite store beyond what every store must do.

use super::suite::{Place, entry, live, load, suite, write};
use super::{SqliteStore, Store, StoreError};
use crate::machine::Rules;
use crate::machine::lab::START;
use icefarm_core::LeaseId;

struct Memory(SqliteStore);

impl Place for Memory {
    type Store = SqliteStore;
    fn open(&mut self) -> &mut SqliteStore {
        &mut self.0
    }
    // The database ends with its connection: what can be seen is that loading reads what is stored.
    fn reopen(&mut self) {}
}

struct File {
    folder: tempfile::TempDir,
    store: Option<SqliteStore>,
}

impl Place for File {
    type Store = SqliteStore;
    fn open(&mut self) -> &mut SqliteStore {
        let path = self.folder.path().join("farm.db");
        self.store.get_or_insert_with(|| SqliteStore::open(path).unwrap())
    }
    fn reopen(&mut self) {
        self.store = None;
    }
}

fn file() -> File {
    File { folder: tempfile::tempdir().unwrap(), store: None }
}

#[test]
fn a_file_is_a_store() {
    suite(file);
}

#[test]
fn memory_is_a_store() {
    suite(|| Memory(SqliteStore::in_memory().unwrap()));
}

#[test]
fn a_transaction_that_was_under_way_leaves_no_trace() {
    let mut place = file();
    live(place.open());
    let before = load(&mut place);
    let path = place.folder.path().join("farm.db");
    place.reopen();
    {
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE; DELETE FROM leases; DELETE FROM given").unwrap();
        // The connection goes without commit, as in a crash.
    }
    assert_eq!(load(&mut place), before);
}

#[test]
fn one_program_uses_a_database_at_a_time() {
    let mut place = file();
    place.open();
    let path = place.folder.path().join("farm.db");
    let error = SqliteStore::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("farm.db") && error.to_string().contains("in use"));
    place.reopen();
    SqliteStore::open(&path).unwrap();
}

#[test]
fn a_later_schema_is_refused_by_its_version() {
    let mut place = file();
    place.open();
    place.reopen();
    let path = place.folder.path().join("farm.db");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = SqliteStore::open(&path).unwrap_err().to_string();
    assert!(error.contains("version 99") && error.contains("up to 5"), "{error}");
}

#[test]
fn a_database_of_the_first_schema_is_upgraded_and_keeps_everything() {
    let mut place = file();
    let path = place.folder.path().join("farm.db");
    {
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch(include_str!("../../migrations/0001.sql")).unwrap();
        connection.pragma_update(None, "application_id", 0x6963_6546).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection.execute_batch("UPDATE meta SET next_lease = 42").unwrap();
    }
    let stored = load(&mut place);
    assert_eq!((stored.farm.next_lease, stored.journal.len()), (LeaseId(42), 0));
    write(&mut place, vec![entry(1)]).unwrap();
    assert_eq!(load(&mut place).journal, [entry(1)]);
}

#[test]
fn what_is_no_farm_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let error = SqliteStore::open(&foreign).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");

    let text = folder.path().join("text.db");
    std::fs::write(&text, "no database at all ".repeat(1000)).unwrap();
    let error = SqliteStore::open(&text).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");

    let nowhere = folder.path().join("none").join("farm.db");
    let error = SqliteStore::open(&nowhere).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
}

#[test]
fn a_schema_that_is_not_what_its_version_says_is_told_in_a_sentence() {
    for (version, batch) in [(0, "SELECT 1"), (-1, "SELECT 1"), (1, "CREATE TABLE journal (x)")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("farm.db");
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch(include_str!("../../migrations/0001.sql")).unwrap();
        connection.execute_batch(batch).unwrap();
        connection.pragma_update(None, "application_id", 0x6963_6546).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
        drop(connection);
        let error = SqliteStore::open(&path).unwrap_err().to_string();
        assert!(error.contains("move it away to begin with an empty farm"), "{error}");
        assert!(!error.contains("CREATE") && error.len() < 500, "{error}");
    }
}

#[test]
fn damage_is_found_and_said() {
    let mut place = file();
    live(place.open());
    place.reopen();
    let path = place.folder.path().join("farm.db");
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in &mut bytes[4096..12288] {
        *byte = 0x5a;
    }
    std::fs::write(&path, bytes).unwrap();
    let error = SqliteStore::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("backup"));
}

#[test]
fn a_row_that_makes_no_sense_is_named_by_its_table() {
    let mut place = file();
    live(place.open());
    place.reopen();
    let path = place.folder.path().join("farm.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("UPDATE leases SET args = '{'").unwrap();
    drop(connection);
    let error = place.open().load(Rules::default(), START).unwrap_err().to_string();
    assert!(error.contains("`leases`"), "{error}");
}

#[test]
#[cfg(unix)]
fn only_its_owner_reads_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let mut place = file();
    place.open();
    let mode = std::fs::metadata(place.folder.path().join("farm.db")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}
