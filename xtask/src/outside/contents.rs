//! Packing what is to be published, and looking at what is in the packages.

use super::process::run;
use super::{repository, target};
use crate::Result;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// More than this no package of ours has reason to be: icefarm-sim with its chip table is 140 KiB.
const LARGEST: u64 = 400 * 1024;

/// What somebody who has only the package must find in it.
const FILES: [&str; 3] = ["README.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// A package, unpacked outside of the repository.
pub(super) struct Unpacked {
    pub(super) name: String,
    pub(super) path: PathBuf,
}

/// Packs every package that is to be published, and unpacks it below `folder`.
pub(super) fn pack(folder: &Path) -> Result<Vec<Unpacked>> {
    let mut cargo = crate::suite::cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let output = cargo.current_dir(repository()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().ok_or("cargo tells of no packages")?;
    let packages: Vec<&Value> = packages.iter().filter(|package| is_published(package)).collect();
    let faults: Vec<String> = packages.iter().flat_map(|package| faults(package)).collect();
    if !faults.is_empty() {
        return Err(format!("not fit to be published:\n  {}", faults.join("\n  ")).into());
    }
    // The project outside compiles them. What is not committed is packed too, so that a change can
    // be checked before.
    let mut cargo = crate::suite::cargo(&["package", "--no-verify", "--allow-dirty", "--quiet"]);
    for package in &packages {
        cargo.args(["--package", text(package, "name")]);
    }
    run(cargo.current_dir(repository()).env("CARGO_TARGET_DIR", target()))?;
    fs::create_dir_all(folder)?;
    packages.into_iter().map(|package| unpack(package, folder)).collect()
}

fn text<'a>(package: &'a Value, key: &str) -> &'a str {
    package[key].as_str().unwrap_or_default()
}

/// `publish = false` is an empty list of registries.
fn is_published(package: &Value) -> bool {
    package["publish"].as_array().is_none_or(|registries| !registries.is_empty())
}

/// What a registry, or whoever finds the package there, would miss.
fn faults(package: &Value) -> Vec<String> {
    let said = |key: &str| !text(package, key).is_empty();
    let listed = |key: &str| package[key].as_array().is_some_and(|list| !list.is_empty());
    let features = package["features"].as_object().is_some_and(|features| !features.is_empty());
    let all_features = package["metadata"]["docs"]["rs"]["all-features"] == true;
    let wanted = [
        ("description", said("description")),
        ("licence that is ours", text(package, "license") == "MIT OR Apache-2.0"),
        ("readme", said("readme")),
        ("repository", said("repository")),
        ("homepage", said("homepage")),
        ("keywords", listed("keywords")),
        ("categories", listed("categories")),
        ("rust-version", said("rust_version")),
        (
            "[package.metadata.docs.rs] all-features = true beside its features",
            !features || all_features,
        ),
    ];
    let name = text(package, "name");
    let missing = wanted.into_iter().filter(|(_, there)| !there);
    missing.map(|(what, _)| format!("{name} has no {what}")).collect()
}

fn unpack(package: &Value, folder: &Path) -> Result<Unpacked> {
    let (name, version) = (text(package, "name"), text(package, "version"));
    let full = format!("{name}-{version}");
    let archive = target().join("package").join(format!("{full}.crate"));
    let size = fs::metadata(&archive).map_err(|error| format!("{}: {error}", archive.display()))?;
    if size.len() > LARGEST {
        return Err(format!("{full} has {} bytes, more than {LARGEST}", size.len()).into());
    }
    // All files in a package are of the same old time: cargo would take what it compiled of an
    // earlier package for up to date. With `m` they are of now.
    run(Command::new("tar").arg("-xzmf").arg(&archive).arg("-C").arg(folder))?;
    let path = folder.join(&full);
    for file in FILES {
        // A link that leads out of the package would be a dead one.
        let there = fs::read(path.join(file)).is_ok_and(|text| !text.is_empty());
        if !there {
            return Err(format!("{full} has no {file}").into());
        }
    }
    println!("packed {full}: {} KiB", size.len() / 1024);
    Ok(Unpacked { name: name.to_owned(), path })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_missing_is_said() {
        let mut package = json!({
            "name": "p", "version": "0.1.0", "description": "d", "license": "MIT OR Apache-2.0",
            "readme": "README.md", "repository": "r", "homepage": "h", "rust_version": "1.95",
            "keywords": ["k"], "categories": ["c"], "features": {}, "publish": null
        });
        assert!(is_published(&package));
        assert_eq!(faults(&package), Vec::<String>::new());
        package["readme"] = Value::Null;
        package["features"] = json!({"sim": []});
        package["publish"] = json!([]);
        assert!(!is_published(&package));
        let expected = [
            "p has no readme",
            "p has no [package.metadata.docs.rs] all-features = true beside its features",
        ];
        assert_eq!(faults(&package), expected);
    }
}
