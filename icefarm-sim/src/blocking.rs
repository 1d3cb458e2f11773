//! Threads for the simulation of circuits.

use futures::future::BoxFuture;
use icefarm_core::blocking::{Blocking, BlockingError, Job};
use std::num::NonZero;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Does the work on threads of tokio's blocking pool, a bounded number of them at a time: more
/// simulations than processors only take memory and make each other late.
///
/// Those that wait come in the order in which they asked. Boards simulate in turns of some fifty
/// milliseconds and ask again for each, so that N boards get the same share, and a circuit that
/// takes seconds does not keep the others waiting. The tasks of the runtime are on other threads,
/// and the system divides its processors between all.
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

/// Does work in turns until one has a result. Others that wait have theirs in between, and when the
/// waiting is given up there is no further one.
pub(crate) async fn in_turns<T: Send + 'static>(
    blocking: &dyn Blocking,
    mut turn: impl FnMut() -> Option<T> + Send + 'static,
) -> Result<T, BlockingError> {
    loop {
        let (result, again) = blocking.call(move || (turn(), turn)).await?;
        match result {
            Some(result) => return Ok(result),
            None => turn = again,
        }
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

    /// Threads that keep in which order they were asked.
    struct Asked {
        threads: Threads,
        board: &'static str,
        asked: Arc<Mutex<Vec<&'static str>>>,
    }

    impl Blocking for Asked {
        fn run(&self, job: Job) -> BoxFuture<'static, ()> {
            let (run, board, asked) = (self.threads.run(job), self.board, self.asked.clone());
            Box::pin(async move {
                asked.lock().unwrap().push(board);
                run.await;
            })
        }
    }

    #[tokio::test]
    async fn each_turn_comes_when_it_was_asked_for() {
        let threads = Threads::new(NonZero::<usize>::MIN);
        let (asked, order) = (Arc::default(), Arc::new(Mutex::new(Vec::new())));
        let blocking = ["a", "b", "c"].map(|board| -> Arc<dyn Blocking> {
            Arc::new(Asked { threads: threads.clone(), board, asked: Arc::clone(&asked) })
        });
        let boards = ["a", "b", "c"].into_iter().zip(&blocking).map(|(board, blocking)| {
            let order = order.clone();
            let mut left = 3;
            in_turns(&**blocking, move || {
                order.lock().unwrap().push(board);
                left -= 1;
                (left == 0).then_some(board)
            })
        });
        let done = futures::future::join_all(boards).await;
        assert_eq!(done, [Ok("a"), Ok("b"), Ok("c")]);
        let order = order.lock().unwrap();
        assert_eq!(order.len(), 9);
        // Who has had a turn asks again as soon as its task notices, which takes its time.
        assert_eq!(*order, *asked.lock().unwrap());
    }

    #[tokio::test]
    async fn nobody_waits_for_what_is_given_up() {
        let threads: Arc<dyn Blocking> = Arc::new(Threads::new(NonZero::<usize>::MIN));
        let endless = in_turns::<()>(&*threads, || None);
        tokio::select! {
            biased;
            _ = endless => panic!("it has no end"),
            other = in_turns(&*threads, || Some(1)) => assert_eq!(other, Ok(1)),
        }
        assert_eq!(in_turns(&*threads, || Some(2)).await, Ok(2));
    }
}
