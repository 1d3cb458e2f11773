//! The panel: what the farm is at, as a page.
//!
//! The page has everything in it, for who reads it without scripting. With scripting it takes
//! `/v1/live` from there.

mod columns;
mod marks;
mod summary;
mod waiting;

use super::markup::{Html, fill};
use super::permit::{Asker, Deed, asker};
use super::{Context, assets};
use crate::ledger::Wanted;
use crate::view::View;
use icefarm_core::wire::{FarmStatus, JournalEntry};
use icefarm_net::Secured;
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::HeaderValue;
use warp::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use warp::reply::{Reply, Response};

/// How many of the last events are shown without scripting.
const SHOWN: usize = 50;

const PAGE: &str = include_str!("../../assets/panel.html");

/// The page needs nothing but its own files and its own server, so a name that got through
/// unescaped does nothing.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let page = warp::path::end()
        .and(warp::get())
        .and(warp::header::optional::<String>("host"))
        .and(warp::ext::optional::<Secured>())
        .and(asker(context))
        .map(|host: Option<String>, secured: Option<Secured>, asker: Asker| {
            // The page shows everybody's leases.
            if let Err(error) = asker.check(Deed::Operate) {
                return error.into_response();
            }
            let ledger = &asker.ledger;
            let wanted = Wanted { limit: SHOWN, ..Wanted::default() };
            let view = View::of(ledger);
            let status = view.status(ledger);
            let scheme = if secured.is_some() { "https" } else { "http" };
            let url = host.map(|host| format!("{scheme}://{host}"));
            let url = url.as_deref().unwrap_or("http://CONTROL:8080");
            let events = ledger.chronicle().page(&wanted).events;
            let has_session = asker.identity().is_ok_and(|identity| identity.session().is_some());
            let page = page(&view, &status, &events, url, has_session);
            guarded(warp::reply::html(page).into_response(), "form-action 'self'")
        });
    page.or(assets::routes()).unify().boxed()
}

/// A page that browsers trust with nothing but itself. `forms` says where its forms may go.
pub(super) fn guarded(mut response: Response, forms: &str) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With `no-referrer` forms would have no origin either, and could not log anybody in.
        (REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::try_from(format!("{POLICY}; {forms}")) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn page(
    view: &View,
    status: &FarmStatus,
    events: &[JournalEntry],
    url: &str,
    has_session: bool,
) -> String {
    let (boards, workers, queue) = (view.boards(), view.workers(), view.queue());
    let now = status.now;
    let troubles = summary::troubles(&boards, &workers, now);
    let hidden = |is_hidden: bool| if is_hidden { " hidden" } else { "" }.to_owned();
    let text = |text: &str| {
        let mut html = Html::default();
        html.text(text);
        html.0
    };
    fill(PAGE, |name| {
        Some(match name {
            "now" => text(&now.to_string()),
            "version" => text(&status.version),
            "url" => text(url),
            "no-session" => hidden(!has_session),
            "trouble" => status.trouble.as_deref().map_or_else(String::new, |trouble| {
                text(&format!("Control is in trouble: {trouble}"))
            }),
            "no-trouble" => hidden(status.trouble.is_none()),
            "tiles" => summary::tiles(status),
            "shares" => summary::shares(status),
            "no-troubles" => hidden(troubles.is_empty()),
            "troubles" => troubles.clone(),
            "workers-heads" => columns::heads(columns::WORKERS),
            "boards-heads" => columns::heads(columns::BOARDS),
            "workers-count" => workers.len().to_string(),
            "some-workers" => hidden(!workers.is_empty()),
            "workers" => columns::rows(columns::WORKERS, &workers, now, |worker| {
                format!("data-contact=\"{}\"", worker.contact.as_str())
            }),
            "queue-heads" => columns::heads(waiting::WAITING),
            "queue-count" => queue.len().to_string(),
            "no-queue" => hidden(queue.is_empty()),
            "queue" => columns::rows(waiting::WAITING, &queue, now, |_| String::new()),
            "boards-count" => boards.len().to_string(),
            "some-boards" => hidden(!boards.is_empty()),
            "boards" => columns::rows(columns::BOARDS, &boards, now, |board| {
                format!("data-group=\"{}\"", columns::name(board.status).0)
            }),
            "some-events" => hidden(!events.is_empty()),
            "events" => {
                let mut html = Html::default();
                events.iter().rev().for_each(|entry| marks::event(&mut html, entry, now));
                html.0
            }
            _ => return None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::lab::Lab;
    use icefarm_core::wire::{BoardCounts, BoardStatus};

    fn status(lab: &Lab, trouble: Option<&str>) -> FarmStatus {
        let mut boards = BoardCounts::default();
        boards.add(BoardStatus::Available, false);
        FarmStatus {
            version: "9.9".into(),
            protocol: "1.0".into(),
            started: lab.now,
            now: lab.now,
            trouble: trouble.map(str::to_owned),
            boards,
            workers: Default::default(),
            waiting: 0,
            last_event: 1,
        }
    }

    #[test]
    fn the_page_shows_the_farm_and_escapes_names() {
        let mut lab = Lab::with(&["A", "<B>"]);
        lab.reserve("<script>alert(\"'&\")</script>", 1);
        let status = status(&lab, Some("the disk is <full>"));
        let entry = serde_json::json!({"seq": 1, "at": lab.now, "what": "board_came",
            "text": "a <b> happened", "warning": true});
        let entry = serde_json::from_value(entry).unwrap();
        let farm = lab.farm.into();
        let view = View { farm, standings: Default::default(), now: lab.now };
        let page = page(&view, &status, &[entry], "http://<host>", true);
        for shown in [
            "&lt;B&gt;",
            "a &lt;b&gt; happened",
            "&lt;script&gt;alert(&quot;&#39;&amp;&quot;)&lt;/script&gt;",
            "Control is in trouble: the disk is &lt;full&gt;",
            "http://w:8081",
            "a-crate 0.1.0",
            "control 9.9",
            "http://&lt;host&gt;",
        ] {
            assert!(page.contains(shown), "{shown}");
        }
        assert!(page.contains("1 h 00 min"));
        assert!(!page.contains("<script>") && !page.contains("<B>") && !page.contains("<full>"));
    }

    #[test]
    fn what_needs_somebody_is_told_at_the_top() {
        let mut lab = Lab::with(&["A", "B"]);
        let shown = |lab: &Lab| {
            let status = status(lab, None);
            let farm = lab.farm.clone().into();
            let view = View { farm, standings: Default::default(), now: lab.now };
            let page = page(&view, &status, &[], "http://c", true);
            page.split_once("id=\"troubles\"")
                .unwrap()
                .1
                .split_once("</section>")
                .unwrap()
                .0
                .to_owned()
        };
        assert!(shown(&lab).contains(" hidden>"), "{}", shown(&lab));
        let (worker, incarnation) = ("w".parse().unwrap(), "w1".into());
        lab.run(crate::machine::Command::Unreachable { worker, incarnation });
        let told = shown(&lab);
        assert!(told.contains("Worker w") && told.contains("its 2 boards are offline"), "{told}");
        assert!(!told.contains(" hidden>") && !told.contains("<b>A</b>"), "{told}");
    }

    #[test]
    fn nothing_of_the_page_is_left_to_fill() {
        let lab = Lab::with(&[]);
        let status = status(&lab, None);
        let view = View { farm: lab.farm.into(), standings: Default::default(), now: lab.now };
        let page = page(&view, &status, &[], "http://c", true);
        for comment in page.split("<!--").skip(1) {
            assert!(comment.starts_with(' '), "{comment:.40}");
        }
        assert!(page.contains("id=\"trouble\" role=\"alert\" hidden>"));
        assert!(page.contains("id=\"workers-empty\" hidden>") && page.contains("boards-empty\">"));
    }
}
