//! The runtime of a blocking client.

use crate::client::Client;
use crate::error::ClientError;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};

/// How long a dropped client may take to give its boards back.
const FAREWELL: Duration = Duration::from_secs(5);

/// Runs what has to be awaited, on a runtime of one thread.
pub(super) fn runtime() -> Result<Runtime, ClientError> {
    let mut builder = Builder::new_multi_thread();
    let builder = builder.worker_threads(1).thread_name("icefarm-client").enable_all();
    builder.build().map_err(|source| ClientError::Runtime { source: Arc::new(source) })
}

/// Waits for the end of a future, where that holds up nobody else.
pub(super) fn wait<F: Future>(runtime: &Handle, future: F) -> Result<F::Output, ClientError> {
    match Handle::try_current() {
        Ok(_) => Err(ClientError::InsideRuntime),
        Err(_) => Ok(runtime.block_on(future)),
    }
}

/// Waits for the end of a future, whomever that holds up: for what cannot fail.
pub(super) fn wait_anyway<F>(runtime: &Handle, future: F) -> F::Output
where
    F: Future + Send,
    F::Output: Send,
{
    if Handle::try_current().is_err() {
        return runtime.block_on(future);
    }
    // A runtime's own thread must not enter another runtime.
    let ended = std::thread::scope(|scope| scope.spawn(|| runtime.block_on(future)).join());
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A client and the runtime that it lives on. What is dropped last ends both.
pub(super) struct Host {
    client: Option<Client>,
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Host {
    pub(super) fn new(client: Client, runtime: Runtime) -> Arc<Self> {
        let handle = runtime.handle().clone();
        Arc::new(Self { client: Some(client), runtime: Some(runtime), handle })
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(super) fn wait<F: Future>(&self, future: F) -> Result<F::Output, ClientError> {
        wait(&self.handle, future)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let (Some(client), Some(runtime)) = (self.client.take(), self.runtime.take()) else {
            return;
        };
        let give_back = move || {
            let closed =
                runtime.block_on(async { tokio::time::timeout(FAREWELL, client.close()).await });
            if !matches!(closed, Ok(Ok(()))) {
                tracing::warn!("the boards of a dropped client end with their leases");
            }
            runtime.shutdown_background();
        };
        if Handle::try_current().is_err() {
            give_back();
        } else if let Err(error) = std::thread::Builder::new().spawn(give_back) {
            tracing::warn!(%error, "the boards of a dropped client end with their leases");
        }
    }
}
