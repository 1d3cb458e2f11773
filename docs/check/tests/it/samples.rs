//! Every sample of the document is what its schema says, and every message has a sample.

use icefarm_docs_check::{Document, Schemas, is_part};
use std::collections::BTreeSet;

#[test]
fn every_sample_fits_its_schema() {
    let (document, schemas) = (Document::protocol().unwrap(), Schemas::load().unwrap());
    assert!(document.samples().len() > 40, "{}", document.samples().len());
    for sample in document.samples() {
        if let Err(mismatch) = schemas.check(&sample.schema, &sample.value) {
            panic!("docs/protocol.md, line {}: {mismatch}", sample.line);
        }
    }
}

#[test]
fn every_event_and_every_schema_of_a_message_has_a_sample() {
    let (document, schemas) = (Document::protocol().unwrap(), Schemas::load().unwrap());
    let shown: BTreeSet<&str> =
        document.samples().iter().map(|sample| sample.schema.as_str()).collect();
    let missing: Vec<&str> =
        schemas.names().filter(|name| !is_part(name) && !shown.contains(name)).collect();
    assert!(missing.is_empty(), "docs/protocol.md has no sample of {missing:?}");
}
