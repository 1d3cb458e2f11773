//! The text, and the samples in it.

use serde_json::Value as Json;
use std::path::PathBuf;

/// Why the document cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// There is no such file, or it cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A sample is not JSON.
    #[error("the sample in line {line} is not JSON: {source}")]
    NotJson {
        /// The line in which it begins, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A sample does not say what it is a sample of.
    #[error("the sample in line {line} names no schema: write ```json FILE#NAME")]
    Unnamed {
        /// The line in which it begins, from 1.
        line: usize,
    },
}

/// A text in Markdown, with blocks of code.
#[derive(Debug, Clone)]
pub struct Document {
    text: String,
    samples: Vec<Sample>,
}

/// A block of JSON in the text. One that shows several objects has one in each line.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The schema that it names, `FILE#NAME`.
    pub schema: String,
    /// What it shows.
    pub value: Json,
    /// Where it begins, from 1.
    pub line: usize,
}

impl Document {
    /// Reads `docs/protocol.md`.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn protocol() -> Result<Self, DocumentError> {
        let path = crate::folder().join("protocol.md");
        let text = std::fs::read_to_string(&path)
            .map_err(|source| DocumentError::Unreadable { path, source })?;
        Self::parse(text)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// [`DocumentError::NotJson`] and [`DocumentError::Unnamed`].
    pub fn parse(text: String) -> Result<Self, DocumentError> {
        let mut samples = Vec::new();
        for Block { language, label, code, line } in blocks(&text) {
            match (language, label) {
                ("jsonl", schema) if !schema.is_empty() => {
                    for (row, code) in code.lines().enumerate() {
                        samples.push(sample(schema, code, line + row)?);
                    }
                }
                ("json", schema) if !schema.is_empty() => {
                    samples.push(sample(schema, &code, line)?);
                }
                ("json" | "jsonl", _) => return Err(DocumentError::Unnamed { line }),
                _ => {}
            }
        }
        Ok(Self { text, samples })
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All samples, in the order of the text.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The code of all blocks that begin with this language and label, put together.
    #[must_use]
    pub fn code(&self, language: &str, label: &str) -> String {
        blocks(&self.text)
            .filter(|block| block.language == language && block.label == label)
            .map(|block| block.code)
            .collect()
    }

    /// The first cells of all rows of tables, without their backquotes.
    pub fn first_cells(&self) -> impl Iterator<Item = (&str, &str)> {
        self.text.lines().filter_map(|line| {
            let (cell, rest) = line.strip_prefix("| ")?.split_once(" |")?;
            Some((cell.trim().trim_matches('`'), rest))
        })
    }
}

fn sample(schema: &str, code: &str, line: usize) -> Result<Sample, DocumentError> {
    match serde_json::from_str(code) {
        Ok(value) => Ok(Sample { schema: schema.to_owned(), value, line }),
        Err(source) => Err(DocumentError::NotJson { line, source }),
    }
}

struct Block<'a> {
    language: &'a str,
    label: &'a str,
    code: String,
    line: usize,
}

fn blocks(text: &str) -> impl Iterator<Item = Block<'_>> {
    let mut lines = text.lines().enumerate();
    std::iter::from_fn(move || {
        let (at, head) = lines.by_ref().find(|(_, line)| line.starts_with("```"))?;
        let (language, label) = head
            .trim_start_matches('`')
            .split_once(' ')
            .unwrap_or((head.trim_start_matches('`'), ""));
        let code = lines
            .by_ref()
            .take_while(|(_, line)| !line.starts_with("```"))
            .fold(String::new(), |code, (_, line)| code + line + "\n");
        Some(Block { language, label, code, line: at + 2 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "a\n```json a#b\n{\"x\": 1}\n```\n\n```jsonl a#c\n1\n2\n```\n| `GET /x` | y |\n";

    #[test]
    fn samples_are_found_with_their_schemas_and_lines() {
        let document = Document::parse(TEXT.to_owned()).unwrap();
        let found: Vec<_> =
            document.samples().iter().map(|s| (s.schema.as_str(), s.line)).collect();
        assert_eq!(found, [("a#b", 3), ("a#c", 7), ("a#c", 8)]);
        assert_eq!(document.code("json", "a#b"), "{\"x\": 1}\n");
        assert_eq!(document.first_cells().next().unwrap().0, "GET /x");
    }

    #[test]
    fn a_sample_must_say_what_it_is() {
        let unnamed = Document::parse("```json\n{}\n```".to_owned());
        assert!(matches!(unnamed, Err(DocumentError::Unnamed { line: 2 })));
        let wrong = Document::parse("```json a#b\n{\n```".to_owned());
        assert!(matches!(wrong, Err(DocumentError::NotJson { line: 2, .. })));
    }
}
