//! Starting a state, on a thread where it disturbs nobody.

use super::Fence;
use super::contain::contain;
use super::host::{Ask, EventSink, LeaseHost};
use super::queue::Queued;
use super::state_task::{Note, StateTask};
use super::tasks::{Pulse, Tasks};
use super::tenancy::Urgent;
use crate::LeaseConfig;
use crate::board::ResidueLedger;
use futures::future::{AbortHandle, Abortable};
use icefarm_core::{Clock, DeviceInfo, Object, Registry, Serial};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;

/// Where states run.
#[derive(Debug, Clone)]
pub(crate) enum PluginThreads {
    /// Each on a thread and a runtime of its own: one that blocks its thread takes nothing from
    /// the others, which on any runtime that they share it would.
    Own,
    /// All on this runtime.
    On(Handle),
}

impl PluginThreads {
    fn start(
        &self,
        name: String,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        match self {
            Self::On(handle) => {
                handle.spawn(task);
                Ok(())
            }
            Self::Own => {
                let thread = std::thread::Builder::new().name(name);
                let body = move || {
                    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                        Ok(runtime) => {
                            runtime.block_on(task);
                            // A blocking call that the state has left behind holds up nobody.
                            runtime.shutdown_background();
                        }
                        Err(error) => tracing::error!("no runtime for a state: {error}"),
                    }
                };
                thread.spawn(body).map(drop)
            }
        }
    }
}

/// Counts the states that keep their threads although their leases are over. They are cut off, and
/// a thread cannot be ended from outside.
#[derive(Debug, Clone, Default)]
pub(crate) struct Abandoned(Arc<AtomicUsize>);

impl Abandoned {
    /// Leaves a state to itself, unless that was done to as many as may be: then it is given back.
    pub(crate) fn leave(
        &self,
        serial: &Serial,
        gone: oneshot::Receiver<()>,
        at_most: usize,
    ) -> Result<(), oneshot::Receiver<()>> {
        let one_more = |count: usize| (count < at_most).then_some(count + 1);
        if self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            return Err(gone);
        }
        let (count, serial) = (self.0.clone(), serial.clone());
        tokio::spawn(async move {
            // It is only ever closed.
            let _ = gone.await;
            count.fetch_sub(1, Ordering::Relaxed);
            tracing::info!(%serial, "a state that was left to itself has let go of its thread");
        });
        Ok(())
    }
}

/// Everything that a state needs to be started.
pub(crate) struct Launch {
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: Arc<dyn EventSink>,
    pub(crate) residue: Arc<ResidueLedger>,
    pub(crate) limits: LeaseConfig,
    pub(crate) info: DeviceInfo,
    pub(crate) args: Object,
    pub(crate) commands: mpsc::Receiver<Queued>,
}

/// The supervisor's end of a state.
pub(crate) struct Running {
    pub(crate) fence: Arc<Fence>,
    pub(crate) notes: mpsc::UnboundedReceiver<Note>,
    pub(crate) asks: mpsc::UnboundedReceiver<Ask>,
    pub(crate) urgent: mpsc::UnboundedSender<Urgent>,
    pub(crate) pulse: Pulse,
    /// Asks the state to end by itself.
    pub(crate) stop: Option<oneshot::Sender<()>>,
    /// Drops it as soon as it lets go of its thread.
    pub(crate) abort: AbortHandle,
    /// Closes when nothing of the state is left.
    pub(crate) gone: oneshot::Receiver<()>,
}

impl Launch {
    pub(crate) fn start(self, threads: &PluginThreads) -> std::io::Result<Running> {
        let fence = Arc::new(Fence::default());
        let pulse = Pulse::default();
        let (notes, notes_out) = mpsc::unbounded_channel();
        let (asks, asks_out) = mpsc::unbounded_channel();
        let (tasks, tasks_out) = mpsc::unbounded_channel();
        let (inbox, inbox_out) = mpsc::unbounded_channel();
        let (switches, switches_out) = mpsc::unbounded_channel();
        let (urgent, urgent_out) = mpsc::unbounded_channel();
        let (stop, stop_out) = oneshot::channel();
        let (alive, gone) = oneshot::channel::<()>();
        let (abort, registration) = AbortHandle::new_pair();

        let name = format!("state {}", self.info.serial);
        let DeviceInfo { serial, lease, client, .. } = &self.info;
        let span = tracing::info_span!("lease", %serial, %lease, %client);
        let host = Arc::new(LeaseHost {
            info: self.info,
            clock: self.clock,
            events: self.events,
            fence: fence.clone(),
            residue: self.residue,
            asks,
            notes,
            tasks,
            inbox,
            switches,
        });
        let (limits, args, beat) = (self.limits, self.args, pulse.clone());
        let (registry, commands) = (self.registry, self.commands);
        let task = async move {
            let _alive = alive;
            let state = StateTask {
                registry,
                kind: host.info.kind.clone(),
                // Several beats fit into the time after which a silent state counts as stuck.
                tasks: Tasks::new(tasks_out, beat, limits.stall / 4),
                limits,
                host,
                stop: stop_out,
                urgent: urgent_out,
                switches: switches_out,
                inbox: inbox_out,
                commands,
            };
            // What was aborted is dropped here; a panic in that ends with the state.
            let _ = contain(Abortable::new(state.run(args), registration)).await;
        };
        // Whatever a state logs tells for whom it works.
        threads.start(name, task.instrument(span))?;
        let stop = Some(stop);
        Ok(Running { fence, notes: notes_out, asks: asks_out, urgent, pulse, stop, abort, gone })
    }
}
