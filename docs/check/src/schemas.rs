//! The JSON schemas under `docs/schema`.

use jsonschema::{Registry, Validator};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Why the schemas cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemasError {
    /// A file, or the folder, cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is not a schema of draft 2020-12.
    #[error("{file}: {reason}")]
    NotASchema {
        /// The file's name.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A message is not what its schema says.
#[derive(Debug, thiserror::Error)]
#[error("{schema}: {reason}, in {value}")]
pub struct Mismatch {
    /// The schema, `FILE#NAME`.
    pub schema: String,
    /// What is wrong, and where.
    pub reason: String,
    /// The message.
    pub value: Json,
}

/// All definitions of all files, each by `FILE#NAME`.
#[derive(Debug)]
pub struct Schemas {
    validators: BTreeMap<String, Validator>,
}

impl Schemas {
    /// Reads all files of `docs/schema`.
    ///
    /// # Errors
    /// [`SchemasError`].
    pub fn load() -> Result<Self, SchemasError> {
        let mut files = Vec::new();
        let folder = crate::folder().join("schema");
        let unreadable =
            |path: &PathBuf, source| SchemasError::Unreadable { path: path.clone(), source };
        for entry in folder.read_dir().map_err(|source| unreadable(&folder, source))? {
            let path = entry.map_err(|source| unreadable(&folder, source))?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let text =
                std::fs::read_to_string(&path).map_err(|source| unreadable(&path, source))?;
            let file = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let schema: Json = serde_json::from_str(&text).map_err(wrong(&file))?;
            files.push((file, schema));
        }
        Self::of(files)
    }

    fn of(files: Vec<(String, Json)>) -> Result<Self, SchemasError> {
        let mut registry = Registry::new();
        for (file, schema) in &files {
            jsonschema::meta::validate(schema).map_err(wrong(file))?;
            registry = registry.add(id(file, schema)?, schema.clone()).map_err(wrong(file))?;
        }
        let registry = registry.prepare().map_err(wrong("the schemas together"))?;
        let mut validators = BTreeMap::new();
        for (file, schema) in &files {
            let definitions = schema["$defs"].as_object().into_iter().flatten();
            for (name, _) in definitions {
                let pointed = json!({"$ref": format!("{}#/$defs/{name}", id(file, schema)?)});
                let validator = jsonschema::options()
                    .with_registry(&registry)
                    .offline()
                    .build(&pointed)
                    .map_err(wrong(file))?;
                validators.insert(format!("{file}#{name}"), validator);
            }
        }
        Ok(Self { validators })
    }

    /// The names of all definitions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.validators.keys().map(String::as_str)
    }

    /// Holds a message against a definition.
    ///
    /// # Errors
    /// [`Mismatch`] names the first thing that is wrong; a definition that there is not is one.
    pub fn check(&self, schema: &str, value: &Json) -> Result<(), Mismatch> {
        let mismatch =
            |reason: String| Mismatch { schema: schema.to_owned(), reason, value: value.clone() };
        let validator = self
            .validators
            .get(schema)
            .ok_or_else(|| mismatch("there is no such schema".to_owned()))?;
        validator.validate(value).map_err(|error| {
            let at = error.instance_path().to_string();
            let at = if at.is_empty() { "at the top".to_owned() } else { format!("at {at}") };
            mismatch(format!("{at}: {}", error.masked()))
        })
    }
}

fn id<'a>(file: &str, schema: &'a Json) -> Result<&'a str, SchemasError> {
    schema["$id"].as_str().ok_or_else(|| SchemasError::NotASchema {
        file: file.to_owned(),
        reason: "it has no `$id`".to_owned(),
    })
}

fn wrong<E: std::fmt::Display>(file: &str) -> impl Fn(E) -> SchemasError {
    let file = file.to_owned();
    move |error| SchemasError::NotASchema { file: file.clone(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_no_schema_names_are_found() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": "https://example.com/a.json",
            "$defs": {"b": {"type": "object", "properties": {"x": {"type": "integer"}},
                "required": ["x"], "additionalProperties": false}},
        });
        let schemas = Schemas::of(vec![("a".to_owned(), schema)]).unwrap();
        assert_eq!(schemas.names().collect::<Vec<_>>(), ["a#b"]);
        schemas.check("a#b", &json!({"x": 1})).unwrap();
        for bad in [json!({"x": 1, "new": 2}), json!({}), json!({"x": "1"})] {
            assert!(schemas.check("a#b", &bad).is_err(), "{bad}");
        }
        assert!(schemas.check("a#c", &json!({})).is_err());
    }
}
