//! The tables of the SQLite store about access: tokens, and the audit log.

use super::rows::{Boxed, int, read};
use super::{AuditWanted, StoreError};
use icefarm_core::wire::{AuditEntry, Role, TokenDetail};
use icefarm_core::{Timestamp, TokenId};
use icefarm_net::TokenDigest;
use rusqlite::{Connection, params};

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptToken {
    /// What is known of it.
    pub detail: TokenDetail,
    /// By what it is known again.
    pub digest: TokenDigest,
}

/// What becomes of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenChange {
    /// One was made.
    Created(Box<KeptToken>),
    /// One is not good for anything any more.
    Revoked {
        /// Which.
        id: TokenId,
        /// Since when.
        at: Timestamp,
    },
    /// One that was not good for anything any more is not even listed.
    Forgotten {
        /// Which.
        id: TokenId,
    },
}

pub(super) fn write_token(db: &Connection, change: &TokenChange) -> Result<(), StoreError> {
    match change {
        TokenChange::Created(token) => {
            let KeptToken { detail, digest } = &**token;
            db.prepare_cached("INSERT INTO tokens VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
                .execute(params![
                    detail.id.as_str(),
                    digest.to_string(),
                    detail.label,
                    detail.role.as_str(),
                    serde_json::to_string(&detail.names)?,
                    int(detail.created.0),
                    detail.expires.map(|at| int(at.0)),
                    detail.revoked.map(|at| int(at.0)),
                ])?;
        }
        TokenChange::Revoked { id, at } => {
            db.prepare_cached("UPDATE tokens SET revoked = ?2 WHERE id = ?1 AND revoked IS NULL")?
                .execute(params![id.as_str(), int(at.0)])?;
        }
        TokenChange::Forgotten { id } => {
            db.prepare_cached("DELETE FROM tokens WHERE id = ?1")?.execute(params![id.as_str()])?;
        }
    }
    Ok(())
}

pub(super) fn tokens(db: &Connection) -> Result<Vec<KeptToken>, StoreError> {
    let columns = "id, digest, label, role, names, created, expires, revoked";
    read(db, "tokens", columns, |row| {
        let id = TokenId::from(row.text()?);
        let digest: TokenDigest = row.text()?.parse()?;
        let label = row.text()?;
        let role: Role = row.text()?.parse()?;
        let names = row.json()?;
        let created = row.time()?;
        let time = |at: Option<i64>| at.map(|at| Timestamp(at.unsigned_abs()));
        let expires = time(row.raw()?);
        let revoked = time(row.raw()?);
        let detail = TokenDetail { id, label, role, names, created, expires, revoked };
        Ok::<_, Boxed>(KeptToken { detail, digest })
    })
}

/// Writes entries down, and lets those go that are not the last `kept`.
pub(super) fn write_audit(
    db: &Connection,
    entries: &[AuditEntry],
    kept: u64,
) -> Result<(), StoreError> {
    let Some(last) = entries.last() else { return Ok(()) };
    for entry in entries {
        db.prepare_cached("INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
            int(entry.seq),
            int(entry.at.0),
            entry.client.as_ref().map(|client| client.as_str()),
            serde_json::to_string(&entry.serials)?,
            serde_json::to_string(entry)?,
        ])?;
    }
    db.prepare_cached("DELETE FROM audit WHERE seq <= ?1")?
        .execute(params![int(last.seq.saturating_sub(kept))])?;
    Ok(())
}

pub(super) fn last_audit(db: &Connection) -> Result<u64, StoreError> {
    let last: Option<i64> = db.query_row("SELECT max(seq) FROM audit", [], |row| row.get(0))?;
    Ok(last.unwrap_or(0).unsigned_abs())
}

/// The newest entries that are meant, the oldest of them first.
pub(super) fn audit(db: &Connection, wanted: &AuditWanted) -> Result<Vec<AuditEntry>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT entry FROM audit
         WHERE (?1 IS NULL OR client = ?1)
         AND (?2 IS NULL OR EXISTS (SELECT 1 FROM json_each(audit.serials) WHERE value = ?2))
         AND at >= ?3
         ORDER BY seq DESC LIMIT ?4",
    )?;
    let rows = statement.query_map(
        params![
            wanted.client.as_ref().map(|client| client.as_str()),
            wanted.serial.as_ref().map(|serial| serial.as_str()),
            int(wanted.since.unwrap_or_default().0),
            int(wanted.limit as u64),
        ],
        |row| row.get::<_, String>(0),
    )?;
    let mut entries = Vec::new();
    for row in rows {
        entries.push(serde_json::from_str(&row?)?);
    }
    entries.reverse();
    Ok(entries)
}
