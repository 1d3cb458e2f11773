//! `/v1/whoami`, `/v1/tokens`, `/v1/tickets` and `/v1/audit`.

use super::permit::{Asker, Deed, asker};
use super::{Context, events, needed, read};
use crate::access::make_token;
use crate::machine::{Cancelled, Command};
use crate::store::{AuditWanted, TokenChange};
use icefarm_core::wire::{
    AskTickets, AuditPage, CreateToken, CreatedToken, ErrorCode, ErrorDetail, Role, Tickets,
    TokenDetail, WhoAmI,
};
use icefarm_core::{Args, ClientName, Serial, Timestamp, TokenId};
use icefarm_net::{ApiError, answer};
use percent_encoding::percent_decode_str;
use std::collections::BTreeSet;
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

/// How many entries of the audit log are told unless more are asked for.
const USUAL: usize = 100;
const MOST: usize = 1000;

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let body = || icefarm_net::args(context.body.clone());
    let who = warp::path!("v1" / "whoami")
        .and(warp::get())
        .and(asker(context))
        .map(|asker: Asker| answer(who(&asker)));
    let list = warp::path!("v1" / "tokens")
        .and(warp::get())
        .and(asker(context))
        .map(|asker: Asker| answer(asker.check(Deed::Operate).map(|()| asker.tokens.list())));
    let create = warp::path!("v1" / "tokens")
        .and(warp::post())
        .and(asker(context))
        .and(body())
        .then(|asker: Asker, args| async move { answer(create(&asker, args).await) });
    let revoke = warp::path!("v1" / "tokens" / String / "revoke")
        .and(warp::post())
        .and(asker(context))
        .and(body())
        .then(
            |id: String, asker: Asker, args| async move { answer(revoke(&asker, &id, args).await) },
        );
    let tickets = warp::path!("v1" / "tickets")
        .and(warp::post())
        .and(asker(context))
        .and(body())
        .map(|asker: Asker, args| answer(tickets(&asker, args)));
    let audit = warp::path!("v1" / "audit")
        .and(warp::get())
        .and(asker(context))
        .and(warp::query::<events::Query>())
        .then(|asker: Asker, query| async move { answer(audit(&asker, &query).await) });
    let tokens = list.or(create).unify().or(revoke).unify().boxed();
    tokens.or(who).unify().or(tickets).unify().or(audit).unify().boxed()
}

fn who(asker: &Asker) -> Result<WhoAmI, ApiError> {
    let identity = asker.identity()?;
    let token = identity.token().map(|token| (**token).clone());
    Ok(WhoAmI { role: identity.role(), tokens: !asker.tokens.is_empty(), token })
}

async fn create(asker: &Asker, args: Option<Args>) -> Result<CreatedToken, ApiError> {
    let trail = asker.trail("create_token");
    asker.permit(Deed::Operate, &trail).await?;
    let wanted = read(args, CreateToken::read)?;
    let now = asker.ledger.now();
    let conflict = |message: String| ApiError::new(ErrorCode::Conflict, message);
    // The first token shuts everybody out who has none.
    if asker.tokens.is_empty() && wanted.role != Role::Operator {
        let message = "this farm has no tokens yet: make one for an operator first, because from \
                       then on everybody needs one";
        return Err(conflict(message.to_owned()));
    }
    let over = asker.tokens.room(now).map_err(|there| {
        conflict(format!("there are {there} tokens, which is the limit; revoke some first"))
    })?;
    let (token, kept) = make_token(wanted, now, &*asker.ids)
        .map_err(|refusal| ApiError::new(ErrorCode::BadRequest, refusal.to_string()))?;
    let detail = kept.detail.clone();
    let mut changes = vec![TokenChange::Created(Box::new(kept))];
    changes.extend(over.map(|id| TokenChange::Forgotten { id }));
    asker.ledger.change_tokens(changes, trail.on_token(&detail.id)).await.map_err(failed)?;
    tracing::info!(token = %detail.id, role = %detail.role, label = detail.label, "a token was made");
    Ok(CreatedToken { token: token.as_str().to_owned(), detail })
}

async fn revoke(asker: &Asker, id: &str, args: Option<Args>) -> Result<TokenDetail, ApiError> {
    let id = TokenId::from(percent_decode_str(id).decode_utf8_lossy().into_owned());
    let trail = asker.trail("revoke_token").on_token(&id);
    asker.permit(Deed::Operate, &trail).await?;
    needed(args)?;
    let now = asker.ledger.now();
    let token = asker.tokens.get(&id).ok_or_else(|| {
        let message = "there is no such token; `icefarm token list` shows those there are";
        ApiError::new(ErrorCode::NotFound, message)
    })?;
    if token.role == Role::Operator
        && token.is_valid(now)
        && !asker.tokens.has_other_operator(&id, now)
    {
        let message = "this is the only token of an operator that is left: make another one \
                       first, or nobody could administer the farm";
        return Err(ApiError::new(ErrorCode::Conflict, message));
    }
    if token.revoked.is_none() {
        let change = TokenChange::Revoked { id: id.clone(), at: now };
        asker.ledger.change_tokens(vec![change], trail).await.map_err(failed)?;
        asker.end_sockets();
        tracing::info!(token = %id, label = token.label, "a token was revoked");
        cancel_orphans(asker, &token).await?;
    }
    asker
        .tokens
        .get(&id)
        .map(|token| (*token).clone())
        .ok_or_else(|| ApiError::new(ErrorCode::Internal, "the token is not there any more"))
}

/// Whoever waits under names that only a token allowed which is over would be granted boards that
/// nobody can use.
async fn cancel_orphans(asker: &Asker, over: &TokenDetail) -> Result<(), ApiError> {
    let now = asker.ledger.now();
    let others = asker.tokens.list();
    let is_kept = |name: &ClientName| {
        let mut others = others.iter().filter(|other| other.role == Role::Client);
        others.any(|other| other.is_valid(now) && other.allows(name.as_str()))
    };
    let farm = asker.ledger.farm();
    let names: BTreeSet<&ClientName> =
        farm.queue.values().map(|waiting| waiting.client()).collect();
    for name in names {
        if over.role == Role::Client && over.allows(name.as_str()) && !is_kept(name) {
            let client = Some(name.clone());
            let which = Cancelled { client, ..Cancelled::default() };
            asker.submit(Command::CancelWait(which)).await?;
        }
    }
    Ok(())
}

fn failed(error: crate::ledger::LedgerError) -> ApiError {
    ApiError(error.detail())
}

/// Tickets for all workers, so that one request is enough however many of them are used.
fn tickets(asker: &Asker, args: Option<Args>) -> Result<Tickets, ApiError> {
    let AskTickets { name } = read(args, AskTickets::read)?;
    asker.check(Deed::Hold(&name))?;
    Ok(asker.context().tickets(asker.token(), &name, |_| true))
}

async fn audit(asker: &Asker, query: &events::Query) -> Result<AuditPage, ApiError> {
    asker.check(Deed::Operate)?;
    let text = |key| events::get(query, key);
    let client = text("client")?
        .map(|text| ClientName::new(text).map_err(|error| events::wrong("client", error)))
        .transpose()?;
    let serial = text("serial")?
        .map(|text| Serial::new(text).map_err(|error| events::wrong("serial", error)))
        .transpose()?;
    let since = text("since")?
        .map(|text| text.parse::<Timestamp>().map_err(|error| events::wrong("since", error)))
        .transpose()?;
    let limit = events::number(query, "limit")?.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return Err(events::wrong("limit", format_args!("not between 1 and {MOST}")));
    }
    let wanted = AuditWanted { client, serial, since, limit };
    let entries = asker.ledger.audited(wanted).await.map_err(|error| match error {
        crate::ledger::LedgerError::Failed(error) => {
            tracing::error!(%error, "the audit log cannot be read");
            let message = "the audit log cannot be read; control's log says why";
            ApiError(ErrorDetail::new(ErrorCode::Internal, message))
        }
        other => failed(other),
    })?;
    Ok(AuditPage { entries })
}
