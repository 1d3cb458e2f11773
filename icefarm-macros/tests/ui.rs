//! What users read who get something wrong. After a change of the compiler or of a message:
//! `TRYBUILD=overwrite cargo test -p icefarm-macros`, then read the differences.

#[test]
fn mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
