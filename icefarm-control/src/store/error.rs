//! What can be wrong with a store.

use std::error::Error;
use std::path::PathBuf;

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another program has the database open.
    #[error(
        "the database {} is in use by another program, most likely another control server; end \
         it, or give this one another database",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A later version wrote the database.
    #[error(
        "the database {} has schema version {found}, and this program knows versions up to \
         {known}; use the version of icefarm that wrote it, or a later one",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The latest that is known here.
        known: i64,
    },
    /// The file is a database of something else.
    #[error("{} is a database, but not one of an iCEFARM; give another path", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged, or no database at all.
    #[error(
        "the database {} is damaged ({reason}); restore it from a backup, or move it away to \
         begin with an empty farm: workers report their boards and the leases that they have \
         seen, so none comes twice",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The database cannot be opened.
    #[error("the database {} cannot be opened: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A row of a table makes no sense.
    #[error("table `{table}` of the database holds what cannot be read: {source}")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Reading or writing failed.
    #[error("the database failed: {source}")]
    Failed {
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl From<rusqlite::Error> for StoreError {
    fn from(source: rusqlite::Error) -> Self {
        Self::Failed { source: source.into() }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(source: serde_json::Error) -> Self {
        Self::Failed { source: source.into() }
    }
}
