//! The life of a lease after it was granted.

use super::draft::Draft;
use super::{Answer, EndReason, Farm, Lease, Refusal, WaitEnd, queue};
use icefarm_core::wire::{CancelAnswer, ErrorCode};
use icefarm_core::{ClientName, InstanceId, LeaseId, Serial, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The leases that a request of `client` means, each once: those of the boards that it names, in
/// its order, or all. A process means only its own.
fn meant(
    farm: &Farm,
    client: &ClientName,
    serials: Option<Vec<Serial>>,
    instance: Option<&InstanceId>,
) -> Vec<Arc<Lease>> {
    let is_meant = |lease: &&Arc<Lease>| {
        lease.client == *client && (instance.is_none() || lease.instance.as_ref() == instance)
    };
    match serials {
        None => farm.leases.values().filter(is_meant).cloned().collect(),
        Some(serials) => {
            let mut seen = BTreeSet::new();
            serials
                .iter()
                .filter(|serial| seen.insert(*serial))
                .filter_map(|serial| farm.leases.get(serial))
                .filter(is_meant)
                .cloned()
                .collect()
        }
    }
}

fn serials_of(leases: &[Arc<Lease>]) -> Answer {
    Answer::Serials(leases.iter().map(|lease| lease.serial.clone()).collect())
}

pub(super) fn extend(
    draft: &mut Draft<'_>,
    client: &ClientName,
    serials: Option<Vec<Serial>>,
    instance: Option<&InstanceId>,
) -> Result<Answer, Refusal> {
    let leases = meant(draft.farm(), client, serials, instance);
    for lease in &leases {
        draft.extend_lease(lease);
    }
    Ok(serials_of(&leases))
}

pub(super) fn end(
    draft: &mut Draft<'_>,
    client: &ClientName,
    serials: Option<Vec<Serial>>,
    instance: Option<&InstanceId>,
) -> Result<Answer, Refusal> {
    if serials.is_none() {
        // Who gives everything back does not wait for more.
        queue::give_up_all(draft, client, instance, WaitEnd::Cancelled);
    }
    let leases = meant(draft.farm(), client, serials, instance);
    for lease in &leases {
        draft.end_lease(&lease.serial, EndReason::Ended);
    }
    Ok(serials_of(&leases))
}

/// An operator ends everything that a client has and waits for.
pub(super) fn clear(draft: &mut Draft<'_>, client: &ClientName) -> Result<Answer, Refusal> {
    let cancelled = queue::give_up_all(draft, client, None, WaitEnd::Revoked);
    let leases = meant(draft.farm(), client, None, None);
    for lease in &leases {
        draft.end_lease(&lease.serial, EndReason::Revoked);
    }
    let ended = leases.iter().map(|lease| lease.serial.clone()).collect();
    Ok(Answer::Cancelled(CancelAnswer { cancelled, ended }))
}

pub(super) fn revoke(
    draft: &mut Draft<'_>,
    serials: &[Serial],
    only: Option<LeaseId>,
) -> Result<Answer, Refusal> {
    let mut ended = Vec::new();
    for serial in serials {
        let lease = draft.farm().leases.get(serial).map(|lease| lease.id);
        if lease.is_some() && (only.is_none() || lease == only) {
            draft.end_lease(serial, EndReason::Revoked);
            ended.push(serial.clone());
        }
    }
    Ok(Answer::Serials(ended))
}

pub(super) fn recall(draft: &mut Draft<'_>, serial: &Serial) -> Result<Answer, Refusal> {
    draft.end_lease(serial, EndReason::BoardDeleted);
    Ok(Answer::Done)
}

/// The socket of a process is alive. To be told so often costs nothing: a lease is written again
/// only when a third of its time has passed.
pub(super) fn renew(
    draft: &mut Draft<'_>,
    client: &ClientName,
    instance: &InstanceId,
) -> Result<Answer, Refusal> {
    queue::renew(draft, client, instance);
    let mut leases = meant(draft.farm(), client, None, Some(instance));
    leases.retain(|lease| lease.renewed_by_socket && lease.renew_at() <= draft.now);
    for lease in &leases {
        draft.extend_lease(lease);
    }
    Ok(serials_of(&leases))
}

pub(super) fn fail(
    draft: &mut Draft<'_>,
    serial: &Serial,
    lease: LeaseId,
    reason: String,
    code: Option<ErrorCode>,
) -> Result<Answer, Refusal> {
    if draft.farm().leases.get(serial).is_some_and(|present| present.id == lease) {
        draft.end_lease(serial, EndReason::Failed { reason, code });
    }
    Ok(Answer::Done)
}

/// When leases may expire at all.
fn grace_over(farm: &Farm) -> Timestamp {
    farm.awake.after(farm.rules.startup_grace)
}

/// When a lease wants a tick.
pub(super) fn due(farm: &Farm, lease: &Lease) -> Timestamp {
    let end = lease.expires.max(grace_over(farm));
    // A lease that is past its end and lives on by grace is not warned about any more.
    if lease.warned || lease.expires <= farm.awake { end } else { end.min(lease.warn_at()) }
}

pub(super) fn tick(draft: &mut Draft<'_>) {
    let now = draft.now;
    let leases: Vec<_> = draft.farm().leases.values().cloned().collect();
    for lease in leases {
        if lease.expires.max(grace_over(draft.farm())) <= now {
            draft.end_lease(&lease.serial, EndReason::Expired);
        } else if !lease.warned && lease.warn_at() <= now && lease.expires > draft.farm().awake {
            draft.warn(&lease);
        }
    }
}
