//! Threads for the simulation of circuits.

use futures::future::BoxFuture;
use icefarm_core::blocking::{Blocking, Job};
use std::num::NonZero;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Does the work on threads of tokio's blocking pool, a bounded number of them at a time: more
/// simulations than processors only take memory and make each other late.
///
/// To be used inside of a tokio runtime.
#[derive(Debug, Clone)]
pub struct Threads {
    permits: Arc<Semaphore>,
}

impl Threads {
    /// At most `threads` at a time.
    #[must_use]
    pub fn new(threads: NonZero<usize>) -> Self {
        let threads = threads.get().min(Semaphore::MAX_PERMITS);
        Self { permits: Arc::new(Semaphore::new(threads)) }
    }
}

/// As many threads as there are processors for this program.
impl Default for Threads {
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN))
    }
}

impl Blocking for Threads {
    fn run(&self, job: Job) -> BoxFuture<'static, ()> {
        let permits = Arc::clone(&self.permits);
        Box::pin(async move {
            let permit = permits.acquire_owned().await;
            let thread = tokio::task::spawn_blocking(move || {
                // Held by the job, which goes on when the waiting is given up.
                let _permit = permit;
                job();
            });
            // What became of the job is told by the job itself.
            let _ = thread.await;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn no_more_jobs_run_than_there_are_permits() {
        let threads: Arc<dyn Blocking> = Arc::new(Threads::new(NonZero::new(2).unwrap()));
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(Mutex::new(0));
        let jobs = (0..16).map(|_| {
            let (threads, running, most) = (threads.clone(), running.clone(), most.clone());
            async move {
                let work = move || {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    let mut most = most.lock().unwrap();
                    *most = now.max(*most);
                    drop(most);
                    std::thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                };
                threads.call(work).await
            }
        });
        for done in futures::future::join_all(jobs).await {
            assert_eq!(done, Ok(()));
        }
        assert!((1..=2).contains(&*most.lock().unwrap()));
    }
}
