//! Answering requests, in whatever moment of its life the board is.

use super::Actor;
use super::handle::Request;
use crate::lease::{Drained, QueueLimits, Taken, Urgent};
use icefarm_core::BuildError;
use icefarm_core::wire::{ErrorCode, ErrorDetail, Event, ReserveBoard, ServerFrame, events};
use tokio::time::Instant;
use tracing::field::display;

/// Why leases end on a worker that has waited for them as long as it was to.
const DRAINED: &str =
    "the board's worker was stopped, and did not wait any longer for the lease to end";

impl Actor {
    /// Attends to the next request.
    pub(super) async fn listen(&mut self) {
        match self.mailbox.recv().await {
            Some(request) => self.attend(request),
            // Nobody can ask anything any more; what is being done is still brought to its end.
            None if self.closing => std::future::pending().await,
            None => self.closing = true,
        }
    }

    // Whoever asked may have gone; that changes nothing in what was done.
    pub(super) fn attend(&mut self, request: Request) {
        match request {
            Request::Command(client, command) => return self.tenancy.command(&client, command),
            Request::Reserve(terms, answer) => match self.reserve(*terms) {
                Ok(Taken::New) if self.ready => {
                    // Whether the arguments make a state is known in a moment.
                    if let Some(tenant) = &mut self.tenancy.next {
                        tenant.answer = Some(answer);
                    }
                }
                taken => {
                    let _ = answer.send(taken.map(drop));
                }
            },
            Request::Extend(extend, answer) => {
                let (rev, expires) = (extend.lease_rev, extend.expires_in_ms);
                let _ =
                    answer.send(self.tenancy.extend(extend.lease, rev, expires, Instant::now()));
            }
            Request::End(end, answer) => {
                let before = self.tenancy.report();
                let client = before.0.as_ref().map(|held| display(held.client.clone()));
                let ended = self.tenancy.end(end.lease);
                // Control says it again until it has heard that it was done.
                if ended.is_ok() && self.tenancy.report() != before {
                    tracing::info!(serial = %self.serial, lease = %end.lease, client, "lease ended");
                }
                let _ = answer.send(ended);
            }
            Request::Reboot(lease, answer) => {
                let checked = self.tenancy.check_reboot(lease);
                let _ = answer.send(checked.and_then(|()| self.reboot()));
            }
            Request::Delete(answer) => {
                tracing::info!(serial = %self.serial, "deleted by an operator");
                self.fail("an operator deleted the board");
                self.running = None;
                self.again = true;
                let _ = answer.send(Ok(()));
            }
            Request::Drain => {
                self.draining = true;
                if let Some(drained) = self.tenancy.drain(DRAINED) {
                    self.tell_drained(drained);
                }
            }
            Request::Close => self.closing = true,
        }
        self.tell_tenancy();
    }

    fn reserve(&mut self, terms: ReserveBoard) -> Result<Taken, ErrorDetail> {
        let (lease, client, kind) = (terms.lease, terms.client.clone(), terms.kind.clone());
        // What is refused here does not count as seen, so that it may be asked again.
        if lease > self.tenancy.token() {
            if let Some(reason) = &self.unfit {
                return Err(ErrorDetail::new(ErrorCode::NotAvailable, reason.clone()));
            }
            if self.closing || self.draining {
                let message = "the worker is shutting down";
                return Err(ErrorDetail::new(ErrorCode::Unavailable, message));
            }
            let checked = self.shared.registry.check_args(kind.as_str(), &terms.args);
            checked.map_err(|error| {
                let code = match error {
                    BuildError::UnknownKind { .. } => ErrorCode::UnknownKind,
                    _ => ErrorCode::BadArguments,
                };
                ErrorDetail::new(code, error.to_string())
            })?;
        }
        let config = &self.shared.config.lease;
        let limits = QueueLimits { commands: config.commands, bytes: config.command_bytes };
        let taken = self.tenancy.reserve(terms, Instant::now(), limits)?;
        if taken == Taken::New {
            tracing::info!(serial = %self.serial, %lease, %client, %kind, "lease taken");
        }
        Ok(taken)
    }

    fn reboot(&mut self) -> Result<(), ErrorDetail> {
        if self.tenancy.next.is_some() {
            // It is started afresh as soon as the board is ready.
            return Ok(());
        }
        if let Some(urgent) = &self.urgent {
            // A state that is just ending needs no reboot.
            let _ = urgent.send(Urgent::Reboot);
            return Ok(());
        }
        let message = "nobody holds a lease on this board; to begin its life anew, delete it";
        Err(ErrorDetail::new(ErrorCode::NotReserved, message))
    }

    /// The lease that is served, or waits, cannot go on: its client and control are told why.
    pub(super) fn fail(&mut self, reason: &str) {
        self.fail_as(None, reason);
    }

    /// The same, with the cause in a word for programs.
    pub(super) fn fail_as(&mut self, code: Option<ErrorCode>, reason: &str) {
        let Some(failed) = self.tenancy.fail(reason, code) else { return };
        let (lease, client) = (failed.lease, &failed.client);
        tracing::warn!(serial = %self.serial, %lease, %client, "lease failed: {reason}");
        if let Some(answer) = failed.answer {
            let _ = answer.send(Err(ErrorDetail::new(ErrorCode::NotAvailable, reason)));
        }
        if let Some(fence) = self.fence.as_ref().filter(|_| failed.present) {
            // Nothing comes after the failure.
            fence.mute();
        }
        // The lease is named: a client that hears this late may hold a later one.
        let event =
            Event::new(events::FAILURE).with("reason", reason).with("lease", failed.lease.0);
        let event = match code {
            Some(code) => event.with("code", code.as_str()),
            None => event,
        };
        let frame = ServerFrame::new(self.serial.as_str(), vec![event]);
        self.shared.events.publish(&failed.client, frame);
        self.tell_tenancy();
    }

    /// The holder is told here as well, for the case that control cannot be reached.
    pub(super) fn tell_drained(&self, drained: Drained) {
        let Drained { lease, client, reason, answer } = drained;
        tracing::warn!(serial = %self.serial, %lease, %client, "lease ended: {reason}");
        if let Some(answer) = answer {
            let _ = answer.send(Err(ErrorDetail::new(ErrorCode::NotAvailable, reason.as_str())));
        }
        let event = Event::new(events::RESERVATION_END)
            .with("reason", "drained")
            .with("message", reason)
            .with("lease", lease.0);
        let frame = ServerFrame::new(self.serial.as_str(), vec![event]);
        self.shared.events.publish(&client, frame);
    }

    pub(super) fn tell_tenancy(&self) {
        let (lease, ended) = self.tenancy.report();
        let token = self.tenancy.token();
        self.shared.ledger.update(&self.serial, |report| {
            report.token = token;
            report.lease = lease;
            report.ended = ended;
        });
    }
}
