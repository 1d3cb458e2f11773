//! The panel: what the farm is at, as a page.
//!
//! The page has everything in it, for who reads it without scripting. With scripting it takes
//! `/v1/live` from there.

use super::markup::{Html, fill};
use super::{Context, assets};
use crate::ledger::Wanted;
use crate::view::View;
use icefarm_core::Timestamp;
use icefarm_core::wire::{
    BoardDetail, BoardStatus, FarmStatus, JournalEntry, WorkerContact, WorkerDetail,
};
use std::sync::Arc;
use std::time::Duration;
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
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The groups of statuses, and what the summary calls them.
const GROUPS: [(&str, &str); 6] = [
    ("available", "Available"),
    ("reserved", "Reserved"),
    ("preparing", "Being prepared"),
    ("broken", "Broken"),
    ("offline", "Offline"),
    ("draining", "Draining"),
];

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let context = context.clone();
    let page = warp::path::end()
        .and(warp::get())
        .and(warp::header::optional::<String>("host"))
        .map(move |host: Option<String>| {
            let ledger = &context.ledger;
            let wanted = Wanted { limit: SHOWN, ..Wanted::default() };
            let view = View::of(ledger);
            let status = view.status(ledger);
            let url = host.map(|host| format!("http://{host}"));
            let url = url.as_deref().unwrap_or("http://CONTROL:8080");
            let events = ledger.chronicle().page(&wanted).events;
            let page = page(&view, &status, &events, url);
            let mut response = warp::reply::html(page).into_response();
            let headers = response.headers_mut();
            for (name, value) in [
                (CONTENT_SECURITY_POLICY, POLICY),
                (CACHE_CONTROL, "no-store"),
                (X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (REFERRER_POLICY, "no-referrer"),
            ] {
                headers.insert(name, HeaderValue::from_static(value));
            }
            response
        });
    page.or(assets::routes()).unify().boxed()
}

fn page(view: &View, status: &FarmStatus, events: &[JournalEntry], url: &str) -> String {
    let (boards, workers) = (view.boards(), view.workers());
    let now = status.now;
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
            "trouble" => status.trouble.as_deref().map_or_else(String::new, |trouble| {
                text(&format!("Control is in trouble: {trouble}"))
            }),
            "no-trouble" => hidden(status.trouble.is_none()),
            "tiles" => tiles(status),
            "shares" => shares(status),
            "workers-count" => workers.len().to_string(),
            "some-workers" => hidden(!workers.is_empty()),
            "workers" => each(&workers, |html, worker| worker_row(html, worker, now)),
            "boards-count" => boards.len().to_string(),
            "some-boards" => hidden(!boards.is_empty()),
            "boards" => each(&boards, |html, board| board_row(html, board, now)),
            "some-events" => hidden(!events.is_empty()),
            "events" => {
                let newest_first: Vec<_> = events.iter().rev().collect();
                each(&newest_first, |html, entry| event(html, entry, now))
            }
            _ => return None,
        })
    })
}

fn each<T>(items: &[T], tell: impl Fn(&mut Html, &T)) -> String {
    let mut html = Html::default();
    items.iter().for_each(|item| tell(&mut html, item));
    html.0
}

fn counts(status: &FarmStatus) -> [u32; 6] {
    let boards = status.boards;
    [
        boards.available,
        boards.reserved,
        boards.preparing,
        boards.broken,
        boards.offline,
        boards.draining,
    ]
}

/// The strip of figures. Each is a button, which filters the boards.
fn tiles(status: &FarmStatus) -> String {
    let mut html = Html::default();
    for ((group, name), count) in GROUPS.into_iter().zip(counts(status)) {
        let none = if count == 0 { " none" } else { "" };
        // Hardly any farm drains boards, and most of the time none does.
        let hidden = if group == "draining" && count == 0 { " hidden" } else { "" };
        html.raw(&format!(
            "<button type=\"button\" class=\"tile{none}\" data-group=\"{group}\" \
             aria-pressed=\"false\"{hidden}><span class=\"figure\">{count}</span>"
        ));
        badge(&mut html, group, name);
        html.raw("</button>\n");
    }
    let workers = status.workers;
    let short = if workers.reachable < workers.total { " short" } else { "" };
    html.raw(&format!(
        "<div class=\"tile{short}\" data-group=\"workers\"><span class=\"figure\">{}/{}</span>\
         <span class=\"status\">Workers reachable</span></div>\n",
        workers.reachable, workers.total
    ));
    html.0
}

/// The same as a bar.
fn shares(status: &FarmStatus) -> String {
    let total = f64::from(status.boards.total.max(1));
    let (mut html, mut from) = (Html::default(), 0.0);
    for ((group, _), count) in GROUPS.into_iter().zip(counts(status)) {
        let width = f64::from(count) / total * 100.0;
        html.raw(&format!(
            "<rect data-group=\"{group}\" x=\"{from:.3}\" width=\"{width:.3}\" height=\"1\"/>"
        ));
        from += width;
    }
    html.0
}

/// A symbol and a word in one colour.
fn badge(html: &mut Html, group: &str, name: &str) {
    html.raw(&format!(
        "<span class=\"status\" data-group=\"{group}\"><svg class=\"symbol\" aria-hidden=\"true\">\
         <use href=\"#s-{group}\"/></svg>"
    ));
    html.text(name).raw("</span>");
}

/// What people call a status, and the group that it is in.
fn name(status: BoardStatus) -> (&'static str, &'static str) {
    match status {
        BoardStatus::Available => ("available", "Available"),
        BoardStatus::Reserved => ("reserved", "Reserved"),
        BoardStatus::AwaitFlashDefault => ("preparing", "Waits for firmware"),
        BoardStatus::FlashingDefault => ("preparing", "Being flashed"),
        BoardStatus::Testing => ("preparing", "Being tested"),
        BoardStatus::Broken => ("broken", "Broken"),
        BoardStatus::Offline => ("offline", "Offline"),
        BoardStatus::Draining => ("draining", "Draining"),
        other => ("draining", other.as_str()),
    }
}

fn board_row(html: &mut Html, board: &BoardDetail, now: Timestamp) {
    let (group, word) = name(board.status);
    html.raw("<tr role=\"row\" data-group=\"").raw(group).raw("\">");
    html.raw("<th role=\"rowheader\" scope=\"row\" class=\"serial\"><span class=\"names\"><b>");
    html.text(board.serial.as_str()).raw("</b>");
    if board.simulated {
        html.raw("<span class=\"tag\">simulated</span>");
    }
    html.raw("</span></th><td role=\"cell\" class=\"standing\"><span class=\"line\">");
    badge(html, group, word);
    if let Some(since) = board.since {
        time(html, since, &span(now.since(since)));
    }
    html.raw("</span>");
    reason(html, board.reason.as_deref());
    html.raw("</td>");
    let lease = board.lease.as_ref();
    cell(html, "holder", "Holder", lease.map_or("", |lease| lease.client.as_str()));
    cell(html, "kind", "Kind", lease.map_or("", |lease| lease.kind.as_str()));
    let left = lease.map(|lease| span(Duration::from_millis(lease.expires_in_ms)));
    cell(html, "left number", "Time left", &left.unwrap_or_default());
    cell(html, "worker", "Worker", board.worker.as_str());
    html.raw("<td role=\"cell\" class=\"deeds\"></td></tr>\n");
}

fn worker_row(html: &mut Html, worker: &WorkerDetail, now: Timestamp) {
    let (group, word) = match worker.contact {
        WorkerContact::Reachable => ("available", "Reachable"),
        WorkerContact::Awaited => ("preparing", "Awaited"),
        WorkerContact::Unreachable => ("broken", "Unreachable"),
        WorkerContact::Lost => ("broken", "Lost"),
        other => ("draining", other.as_str()),
    };
    html.raw("<tr role=\"row\"><th role=\"rowheader\" scope=\"row\" class=\"name\"><span>");
    html.text(worker.name.as_str()).raw("</span>");
    reason(html, Some(&worker.url));
    html.raw("</th><td role=\"cell\" class=\"contact\"><span class=\"line\">");
    badge(html, group, word);
    time(html, worker.last_contact, &format!("{} ago", span(now.since(worker.last_contact))));
    html.raw("</span>");
    if !worker.refused.is_empty() {
        let refused: Vec<_> = worker.refused.iter().map(|serial| serial.as_str()).collect();
        reason(html, Some(&format!("reports boards of another worker: {}", refused.join(", "))));
    }
    html.raw("</td>");
    cell(html, "number", "Boards", &worker.boards.to_string());
    cell(html, "version", "Version", &worker.version);
    html.raw("<td role=\"cell\" class=\"kinds\" data-label=\"Kinds\"><ul>");
    for kind in &worker.kinds {
        html.raw("<li>").text(kind.kind.as_str());
        reason(html, Some(&format!("{} {}", kind.crate_name, kind.crate_version)));
        html.raw("</li>");
    }
    html.raw("</ul></td><td role=\"cell\" class=\"deeds\"></td></tr>\n");
}

fn event(html: &mut Html, entry: &JournalEntry, now: Timestamp) {
    let (class, symbol) = if entry.warning { ("warning", "warning") } else { ("", "event") };
    html.raw(&format!(
        "<li class=\"{class}\"><svg class=\"symbol\" aria-hidden=\"true\"><use \
         href=\"#s-{symbol}\"/></svg><span class=\"what\">"
    ));
    if entry.warning {
        html.raw("<span class=\"unseen\">Warning: </span>");
    }
    html.text(&entry.text).raw("</span>");
    time(html, entry.at, &format!("{} ago", span(now.since(entry.at))));
    html.raw("</li>\n");
}

fn cell(html: &mut Html, class: &str, label: &str, text: &str) {
    html.raw(&format!("<td role=\"cell\" class=\"{class}\" data-label=\"{label}\">"));
    html.text(text).raw("</td>");
}

fn reason(html: &mut Html, reason: Option<&str>) {
    if let Some(reason) = reason {
        html.raw("<span class=\"reason\">").text(reason).raw("</span>");
    }
}

fn time(html: &mut Html, at: Timestamp, text: &str) {
    html.raw(&format!("<time datetime=\"{at}\" title=\"{at}\">"));
    html.text(text).raw("</time>");
}

/// How long something takes, for people; as `time.js` says it.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match (minutes, hours) {
        (0, _) => format!("{seconds} s"),
        (_, 0) => format!("{minutes} min"),
        (_, ..48) => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{} d", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::lab::Lab;
    use icefarm_core::wire::BoardCounts;

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
        let page = page(&view, &status, &[entry], "http://<host>");
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
    fn nothing_of_the_page_is_left_to_fill() {
        let lab = Lab::with(&[]);
        let status = status(&lab, None);
        let view = View { farm: lab.farm.into(), standings: Default::default(), now: lab.now };
        let page = page(&view, &status, &[], "http://c");
        for comment in page.split("<!--").skip(1) {
            assert!(comment.starts_with(' '), "{comment:.40}");
        }
        assert!(page.contains("id=\"trouble\" role=\"alert\" hidden>"));
        assert!(page.contains("id=\"workers-empty\" hidden>") && page.contains("boards-empty\">"));
    }

    #[test]
    fn spans_are_told_in_one_or_two_units() {
        let told = |seconds| span(Duration::from_secs(seconds));
        assert_eq!([told(0), told(59), told(60), told(3599)], ["0 s", "59 s", "1 min", "59 min"]);
        assert_eq!([told(3600), told(7500)], ["1 h 00 min", "2 h 05 min"]);
        assert_eq!([told(172_799), told(172_800)], ["47 h 59 min", "2 d"]);
    }
}
