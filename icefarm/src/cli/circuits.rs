//! The circuits that a command line names: files, folders and lists.

use std::path::{Path, PathBuf};

/// A circuit's file, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CircuitFile {
    /// The path as it was found, which is the circuit's name in every answer.
    pub(crate) name: String,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

/// Circuits that cannot be had. All of them are told at once.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub(crate) struct CircuitsError(Vec<String>);

/// Reads all circuits that `args` name: a file is itself, a folder all its `*.bin` files by name,
/// and `@LIST` the files that LIST names, one on a line, relative to the folder of LIST; empty
/// lines and lines that begin with `#` do not count.
pub(crate) fn read(args: &[String]) -> Result<Vec<CircuitFile>, CircuitsError> {
    let mut faults = Vec::new();
    let mut paths = Vec::new();
    for arg in args {
        match expand(arg) {
            Ok(found) => paths.extend(found),
            Err(fault) => faults.push(fault),
        }
    }
    let mut circuits = Vec::new();
    for path in paths {
        match std::fs::read(&path) {
            Ok(bytes) => circuits.push(CircuitFile { name: path.display().to_string(), bytes }),
            Err(error) => faults.push(format!("{}: {error}", path.display())),
        }
    }
    if faults.is_empty() { Ok(circuits) } else { Err(CircuitsError(faults)) }
}

fn expand(arg: &str) -> Result<Vec<PathBuf>, String> {
    if let Some(list) = arg.strip_prefix('@') {
        return from_list(Path::new(list));
    }
    let path = Path::new(arg);
    if path.is_dir() { from_folder(path) } else { Ok(vec![path.to_owned()]) }
}

fn from_folder(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let fault = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.extension().is_some_and(|end| end == "bin") && path.is_file() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(format!("{}: the folder has no *.bin file", folder.display()));
    }
    paths.sort();
    Ok(paths)
}

fn from_list(list: &Path) -> Result<Vec<PathBuf>, String> {
    let text =
        std::fs::read_to_string(list).map_err(|error| format!("{}: {error}", list.display()))?;
    let folder = list.parent().unwrap_or(Path::new(""));
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| folder.join(line))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_folders_and_lists_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        for name in ["b.bin", "a.bin", "notes.txt"] {
            std::fs::write(at(name), name).unwrap();
        }
        std::fs::write(at("list"), "# best of the day\n\nb.bin\nnotes.txt\n").unwrap();
        let names =
            |args: &[String]| read(args).unwrap().into_iter().map(|c| c.name).collect::<Vec<_>>();
        assert_eq!(names(&[at("")]), [at("a.bin"), at("b.bin")]);
        assert_eq!(names(&[format!("@{}", at("list"))]), [at("b.bin"), at("notes.txt")]);
        assert_eq!(read(&[at("a.bin")]).unwrap()[0].bytes, b"a.bin");
    }

    #[test]
    fn everything_that_is_missing_is_told_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let error = read(&[at("x.bin"), at(""), format!("@{}", at("l"))]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("x.bin: No such file"), "{text}");
        assert!(text.contains("has no *.bin file"), "{text}");
        assert!(text.contains("/l: No such file"), "{text}");
    }
}
