//! Feeding a target, and keeping what it chokes on.

use crate::Target;
use crate::mutate::damaged;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use sha2::{Digest, Sha256};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Why an input is one too many.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The parser panicked.
    #[error("it panics: {0}")]
    Panic(String),
    /// It allocated more than it may for an input of this length.
    #[error("it allocates {bytes} bytes for an input of {length}, and may allocate {limit}")]
    Memory {
        /// Bytes, given back or not.
        bytes: usize,
        /// The length of the input.
        length: usize,
        /// What it may.
        limit: usize,
    },
    /// Something else does not hold.
    #[error("{0}")]
    Wrong(String),
}

/// An input that does harm, as small as it could be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The input.
    pub input: Vec<u8>,
    /// What it does.
    pub failure: Failure,
}

/// Allocations are those of the whole program, so only one target runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Gives one input to a target.
///
/// # Errors
/// What must not be.
pub fn replay(target: &Target, input: &[u8]) -> Result<(), Failure> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    once(target, input)
}

fn once(target: &Target, input: &[u8]) -> Result<(), Failure> {
    let region = Region::new(&INSTRUMENTED_SYSTEM);
    let checked = catch_unwind(AssertUnwindSafe(|| (target.check)(input)));
    let bytes = region.change().bytes_allocated;
    match checked {
        Ok(Ok(())) => {}
        Ok(Err(wrong)) => return Err(Failure::Wrong(wrong)),
        Err(panic) => return Err(Failure::Panic(message(&*panic))),
    }
    let (length, limit) = (input.len(), target.limit(input.len()));
    if bytes > limit { Err(Failure::Memory { bytes, length, limit }) } else { Ok(()) }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("without a word").to_owned()
}

/// Gives so many inputs to a target.
///
/// # Errors
/// The first that does harm.
pub fn run(target: &'static Target, cases: u32) -> Result<(), Found> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // What is made once, such as tables, is not any input's.
    let samples = target.samples();
    for sample in samples {
        if let Err(failure) = once(target, sample) {
            // Caches are filled by now; what is allocated once more is the input's.
            let failure = match failure {
                Failure::Memory { .. } => match once(target, sample) {
                    Ok(()) => continue,
                    Err(failure) => failure,
                },
                other => other,
            };
            return Err(Found { input: sample.clone(), failure });
        }
    }
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 4000,
        max_shrink_time: 60_000,
        ..Config::default()
    };
    let hook = std::panic::take_hook();
    // Panics are what is looked for: each of the shrinking ones would be shown.
    std::panic::set_hook(Box::new(|_| {}));
    let ended = TestRunner::new(config).run(&damaged(samples), |input| {
        let failure = match once(target, &input) {
            // Servers of other targets live on, and what they allocate counts as well: once.
            Err(Failure::Memory { .. }) => once(target, &input),
            other => other,
        };
        failure.map_err(|failure| TestCaseError::fail(failure.to_string()))
    });
    let found = match ended {
        Ok(()) => Ok(()),
        Err(TestError::Fail(reason, input)) => {
            let failure = once(target, &input);
            let failure = failure.err().unwrap_or(Failure::Wrong(format!("sometimes: {reason}")));
            Err(Found { input, failure })
        }
        Err(TestError::Abort(reason)) => {
            Err(Found { input: Vec::new(), failure: Failure::Wrong(reason.to_string()) })
        }
    };
    std::panic::set_hook(hook);
    found
}

fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// The inputs that once did harm to a target.
///
/// # Errors
/// If the folder cannot be read.
pub fn corpus(target: &Target) -> std::io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let folder = folder(target);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        let bytes = std::fs::read(&path)?;
        found.push((path, bytes));
    }
    found.sort();
    Ok(found)
}

/// Keeps an input that does harm, and says where.
///
/// # Errors
/// If it cannot be written.
pub fn keep(target: &Target, input: &[u8]) -> std::io::Result<PathBuf> {
    let folder = folder(target);
    std::fs::create_dir_all(&folder)?;
    let digest: String =
        Sha256::digest(input).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let path = folder.join(digest);
    std::fs::write(&path, input)?;
    Ok(path)
}
