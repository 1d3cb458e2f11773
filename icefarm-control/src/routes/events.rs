//! `GET /v1/events`: what happened, and what happens.
//!
//! `limit=N` gives the newest entries, 100 unless said otherwise and at most 1000. With
//! `after=SEQ` it gives the oldest after that one, so that who asks again and again with the
//! number of the last entry misses none; with `wait_s=SECONDS`, at most 60, the answer waits until
//! there is one. `serial=S` leaves out what is not about that board.

use super::Context;
use super::permit::{Asker, Deed, asker};
use crate::ledger::Wanted;
use crate::redact;
use icefarm_core::Serial;
use icefarm_core::wire::{ErrorCode, JournalPage};
use icefarm_net::{ApiError, answer};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

const USUAL: usize = 100;
const MOST: usize = 1000;
/// Below the time after which proxies and clients give up.
const LONGEST_WAIT: u64 = 60;

pub(super) type Query = Vec<(String, String)>;

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    warp::path!("v1" / "events")
        .and(warp::get())
        .and(asker(context))
        .and(warp::query::<Query>())
        .then(|asker: Asker, query: Query| async move { answer(events(&asker, &query).await) })
        .boxed()
}

async fn events(asker: &Asker, query: &Query) -> Result<JournalPage, ApiError> {
    asker.check(Deed::Look)?;
    let context: &Context = asker;
    let serial = get(query, "serial")?
        .map(|text| Serial::new(text).map_err(|error| wrong("serial", error)))
        .transpose()?;
    let limit = number(query, "limit")?.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return Err(wrong("limit", format_args!("not between 1 and {MOST}")));
    }
    let after = number(query, "after")?;
    let wait: Option<u64> = number(query, "wait_s")?;
    let wanted = Wanted { after, limit, serial };
    match wait {
        None | Some(0) => {}
        Some(_) if wanted.after.is_none() => {
            return Err(wrong("wait_s", "it goes with `after`, which is missing"));
        }
        Some(wait) if wait > LONGEST_WAIT => {
            return Err(wrong("wait_s", format_args!("more than {LONGEST_WAIT}")));
        }
        Some(wait) => {
            // What is there when the time is over, or the server ends, is the answer, too.
            let _ = timeout(Duration::from_secs(wait), async {
                tokio::select! {
                    () = something(context, &wanted) => {}
                    () = context.ledger.chronicle().closed() => {}
                }
            })
            .await;
            asker.check(Deed::Look)?;
        }
    }
    let mut page = context.ledger.chronicle().page(&wanted);
    redact::page(&mut page, |client| asker.sees(client));
    Ok(page)
}

/// Waits until the journal has something of what is wanted.
async fn something(context: &Context, wanted: &Wanted) {
    let mut last = context.ledger.chronicle().watch();
    let first = Wanted { limit: 1, ..wanted.clone() };
    loop {
        last.mark_unchanged();
        let page = context.ledger.chronicle().page(&first);
        // A number of another database: waiting for it could take for ever.
        let is_foreign = wanted.after.is_some_and(|after| after > page.last);
        if !page.events.is_empty() || is_foreign || last.changed().await.is_err() {
            return;
        }
    }
}

pub(super) fn get<'a>(query: &'a Query, key: &str) -> Result<Option<&'a str>, ApiError> {
    let mut values = query.iter().filter(|(name, _)| name == key).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(wrong(key, "it is there twice")),
        (value, None) => Ok(value.map(String::as_str)),
    }
}

pub(super) fn number<T: FromStr>(query: &Query, key: &str) -> Result<Option<T>, ApiError> {
    let read = |text: &str| text.parse().map_err(|_| wrong(key, "not a whole number"));
    get(query, key)?.map(read).transpose()
}

pub(super) fn wrong(key: &str, reason: impl fmt::Display) -> ApiError {
    ApiError::new(ErrorCode::BadRequest, format!("the query, key `{key}`: {reason}"))
}
