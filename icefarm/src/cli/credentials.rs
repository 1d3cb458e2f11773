//! Tokens that are kept for the user: one for each farm, in a file that nobody else can read.

use icefarm_core::wire::NamePattern;
use icefarm_net::Endpoint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why what is kept cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsFault {
    #[error("neither XDG_CONFIG_HOME nor HOME says where tokens are kept")]
    Nowhere,
    #[error("the tokens in {} cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the tokens in {} are not understood: {source}; move the file away, and log in anew", path.display())]
    Syntax { path: PathBuf, source: Box<toml::de::Error> },
    #[error("the token cannot be kept in {}: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("the token cannot be kept: {0}")]
    Encode(#[from] toml::ser::Error),
}

/// What is kept of one farm.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) token: String,
    /// The names that the token may use.
    #[serde(default)]
    pub(crate) names: Vec<NamePattern>,
    /// Whose certificates are taken there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<PathBuf>,
}

type All = BTreeMap<String, Kept>;

fn path() -> Result<PathBuf, CredentialsFault> {
    let folder = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty());
    let config = folder("XDG_CONFIG_HOME").map(PathBuf::from);
    let config = config.filter(|path| path.is_absolute());
    let config = config.or_else(|| folder("HOME").map(|home| PathBuf::from(home).join(".config")));
    Ok(config.ok_or(CredentialsFault::Nowhere)?.join("icefarm/credentials.toml"))
}

fn read(path: &Path) -> Result<All, CredentialsFault> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(All::new()),
        Err(source) => return Err(CredentialsFault::Read { path: path.to_owned(), source }),
    };
    toml::from_str(&text).map_err(|source| CredentialsFault::Syntax {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

fn write(path: &Path, all: &All) -> Result<(), CredentialsFault> {
    let text = toml::to_string(all)?;
    let written = || {
        if let Some(folder) = path.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        // Whole or not at all, and never readable by others for a moment. The number of a process
        // comes again, so that what one left that was killed would be in the way for good.
        let new = path.with_extension(format!("{}.new", uuid::Uuid::new_v4()));
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&new)?;
        let done = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        done.and_then(|()| std::fs::rename(&new, path)).inspect_err(|_| {
            // What went wrong first is told.
            let _ = std::fs::remove_file(&new);
        })
    };
    written().map_err(|source| CredentialsFault::Write { path: path.to_owned(), source })
}

/// What is kept of a farm.
pub(crate) fn find(farm: &Endpoint) -> Result<Option<Kept>, CredentialsFault> {
    match path() {
        Ok(path) => Ok(read(&path)?.remove(&farm.to_string())),
        // Then nothing can be kept either.
        Err(_) => Ok(None),
    }
}

/// Keeps the token of a farm, and says where.
pub(crate) fn keep(farm: &Endpoint, kept: Kept) -> Result<PathBuf, CredentialsFault> {
    let path = path()?;
    let mut all = read(&path)?;
    all.insert(farm.to_string(), kept);
    write(&path, &all)?;
    Ok(path)
}

/// Forgets the token of a farm. Says whether there was one.
pub(crate) fn forget(farm: &Endpoint) -> Result<bool, CredentialsFault> {
    let path = path()?;
    let mut all = read(&path)?;
    let was_there = all.remove(&farm.to_string()).is_some();
    if was_there {
        write(&path, &all)?;
    }
    Ok(was_there)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn tokens_are_kept_for_the_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("icefarm/credentials.toml");
        assert!(read(&path).unwrap().is_empty());
        let kept = Kept { token: "t".into(), names: vec!["a-*".parse().unwrap()], ca: None };
        let all = All::from([("http://127.0.0.1:8080".to_owned(), kept)]);
        write(&path, &all).unwrap();
        write(&path, &all).unwrap();
        let back = read(&path).unwrap();
        assert_eq!(back["http://127.0.0.1:8080"].names[0].as_str(), "a-*");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        std::fs::write(&path, "x").unwrap();
        assert!(read(&path).is_err());
    }

    #[test]
    fn what_is_left_over_stands_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials.toml");
        let names = || {
            let entries = std::fs::read_dir(folder.path()).unwrap();
            entries.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
        };
        // It cannot be taken for the file that a folder is.
        std::fs::create_dir(&path).unwrap();
        assert!(write(&path, &All::new()).is_err());
        assert_eq!(names(), ["credentials.toml"]);
        std::fs::remove_dir(&path).unwrap();

        // Of a process with the same number that was killed, as it happens in containers.
        let others = folder.path().join("others");
        std::fs::write(&others, "").unwrap();
        let left = path.with_extension(format!("{}.new", std::process::id()));
        std::os::unix::fs::symlink(&others, &left).unwrap();
        write(&path, &All::new()).unwrap();
        assert!(path.symlink_metadata().unwrap().is_file());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
