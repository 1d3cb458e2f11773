//! Checks that `docs/protocol.md` and `docs/schema` say what the servers of iCEFARM do.
//!
//! [`Document`] is the text with its samples, [`Schemas`] are the JSON schemas beside it, and a
//! [`Wiretap`] writes down every byte that goes in and out of a server, to be held against them.
//!
//! ```
//! use icefarm_docs_check::{Document, Schemas};
//!
//! let (document, schemas) = (Document::protocol().unwrap(), Schemas::load().unwrap());
//! for sample in document.samples() {
//!     schemas.check(&sample.schema, &sample.value).unwrap();
//! }
//! ```
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop where it fails"))]

mod document;
mod message;
mod schemas;
mod traffic;
mod wiretap;

pub use document::{Document, DocumentError, Sample};
pub use message::{Message, is_part, messages, paths};
pub use schemas::{Mismatch, Schemas, SchemasError};
pub use traffic::{Exchange, Frame, Traffic, TrafficError};
pub use wiretap::{Recording, Tapped, Wiretap};

/// The folder `docs` of the repository.
fn folder() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
