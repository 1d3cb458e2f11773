//! Work that holds a thread: computing at length, or waiting outside of `tokio`.

use futures::future::BoxFuture;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::sync::oneshot;

/// A piece of work for [`Blocking`].
pub type Job = Box<dyn FnOnce() + Send>;

/// Where work is done that would hold up a runtime: on threads of its own in production, in place
/// in simulations, where everything must run in one order.
///
/// ```
/// use icefarm_core::blocking::{Blocking, Inline};
/// use std::sync::Arc;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let blocking: Arc<dyn Blocking> = Arc::new(Inline);
/// assert_eq!(blocking.call(|| 6 * 7).await, Ok(42));
/// # }
/// ```
pub trait Blocking: Send + Sync + 'static {
    /// Runs `job` to its end. Once it has begun it cannot be stopped: dropping the future only
    /// stops the waiting. A job that can no longer be run is dropped.
    fn run(&self, job: Job) -> BoxFuture<'static, ()>;
}

impl dyn Blocking {
    /// Runs `work` and returns what it returns.
    ///
    /// # Errors
    /// [`BlockingError`] if it panicked, or if it was never run because the program is ending.
    pub async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, BlockingError> {
        let (sender, receiver) = oneshot::channel();
        let job = self.run(Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(work))
                .map_err(|panic| BlockingError::Panicked { message: message(&*panic) });
            // A caller that has gone away wants no answer.
            let _ = sender.send(result);
        }));
        job.await;
        receiver.await.unwrap_or(Err(BlockingError::Ended))
    }
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockingError {
    /// The work panicked.
    #[error("the work panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// The program is ending, and the work was not begun.
    #[error("the work was not begun because the program is ending")]
    Ended,
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

/// Does the work in place, when the future is first polled: for simulations on one thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inline;

impl Blocking for Inline {
    fn run(&self, job: Job) -> BoxFuture<'static, ()> {
        Box::pin(async move { job() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let blocking: &dyn Blocking = &Inline;
        let message = "as asked".to_owned();
        let result = blocking.call(|| if true { panic!("as asked") } else { 1 }).await;
        assert_eq!(result, Err(BlockingError::Panicked { message }));
    }

    #[tokio::test]
    async fn work_that_is_dropped_is_told_apart() {
        struct Ending;
        impl Blocking for Ending {
            fn run(&self, job: Job) -> BoxFuture<'static, ()> {
                drop(job);
                Box::pin(async {})
            }
        }
        let blocking: &dyn Blocking = &Ending;
        assert_eq!(blocking.call(|| 1).await, Err(BlockingError::Ended));
    }
}
