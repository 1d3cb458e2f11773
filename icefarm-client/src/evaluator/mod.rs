//! x
pub(crate) mod schedule;
