//! The panel: what the farm is at, as a page.

use super::Context;
use crate::ledger::Wanted;
use crate::view::View;
use icefarm_core::wire::JournalEntry;
use std::fmt::Write;
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use warp::reply::{Reply, Response};

/// How many of the last events are shown.
const SHOWN: usize = 50;

const STYLE: &str = "body{font:15px/1.4 sans-serif;margin:2em;color:#222}\
    table{border-collapse:collapse;margin-bottom:2em}\
    th,td{text-align:left;padding:.2em .8em;border-bottom:1px solid #ddd}\
    .warning{color:#a00}";

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let context = context.clone();
    warp::path::end()
        .and(warp::get())
        .map(move || {
            let ledger = &context.ledger;
            let wanted = Wanted { limit: SHOWN, ..Wanted::default() };
            let page = page(
                &View::of(ledger),
                &ledger.chronicle().page(&wanted).events,
                ledger.complaint().as_deref(),
            );
            let page = warp::reply::html(page);
            // The page needs nothing but itself, so a name that got through unescaped does nothing.
            let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
            let page = warp::reply::with_header(page, CONTENT_SECURITY_POLICY, policy);
            let page = warp::reply::with_header(page, CACHE_CONTROL, "no-store");
            warp::reply::with_header(page, X_CONTENT_TYPE_OPTIONS, "nosniff").into_response()
        })
        .boxed()
}

fn page(view: &View, events: &[JournalEntry], complaint: Option<&str>) -> String {
    let farm = &view.farm;
    let mut page = Page(format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>iCEFARM</title><style>{STYLE}</style><h1>iCEFARM</h1>\n"
    ));
    if let Some(complaint) = complaint {
        page.raw("<p class=\"warning\">").text(complaint).raw("</p>\n");
    }
    let free = farm.offered().count();
    page.raw("<p>").text(&format!("{free} boards can be reserved now.")).raw("</p>\n");

    page.table("Boards", &["Serial", "Worker", "Status", "Client", "Kind", "Minutes left"]);
    for board in view.boards() {
        let mut status = board.status.to_string();
        if board.simulated {
            status.push_str(", simulated");
        }
        if let Some(reason) = &board.reason {
            let _ = write!(status, " ({reason})");
        }
        let lease = board.lease.as_ref();
        page.row(&[
            board.serial.as_str(),
            board.worker.as_str(),
            &status,
            lease.map_or("", |lease| lease.client.as_str()),
            lease.map_or("", |lease| lease.kind.as_str()),
            &lease.map_or(String::new(), |lease| (lease.expires_in_ms / 60_000).to_string()),
        ]);
    }
    page.raw("</table>\n");

    page.table("Workers", &["Name", "Address", "State", "Version", "Kinds", "Last heard of"]);
    for worker in farm.workers.values() {
        let kinds: Vec<_> = worker.kinds.iter().map(|info| info.kind.as_str()).collect();
        let mut state = worker.contact.as_str().to_owned();
        if !worker.refused.is_empty() {
            let refused: Vec<_> = worker.refused.iter().map(|serial| serial.as_str()).collect();
            let _ = write!(state, ", reports boards of another worker: {}", refused.join(", "));
        }
        page.row(&[
            worker.name.as_str(),
            &worker.url,
            &state,
            &worker.version,
            &kinds.join(", "),
            &worker.heard.unwrap_or(worker.seen).to_string(),
        ]);
    }
    page.raw("</table>\n");

    page.table("Leases", &["Lease", "Serial", "Client", "Kind", "Reservation", "Since"]);
    for lease in view.leases() {
        page.row(&[
            &lease.lease.to_string(),
            lease.serial.as_str(),
            lease.client.as_str(),
            lease.kind.as_str(),
            lease.reservation.as_str(),
            &lease.since.to_string(),
        ]);
    }
    page.raw("</table>\n");

    page.table("Last events", &["When", "What"]);
    for entry in events.iter().rev() {
        let class = if entry.warning { "warning" } else { "" };
        page.raw("<tr><td>").text(&entry.at.to_string());
        page.raw("<td class=\"").raw(class).raw("\">").text(&entry.text).raw("\n");
    }
    page.raw("</table>\n");
    page.0
}

/// A page in the making.
struct Page(String);

impl Page {
    fn raw(&mut self, html: &str) -> &mut Self {
        self.0.push_str(html);
        self
    }

    /// Text that means nothing to a browser.
    fn text(&mut self, text: &str) -> &mut Self {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                _ => self.0.push(character),
            }
        }
        self
    }

    fn table(&mut self, title: &str, columns: &[&str]) {
        self.raw("<h2>").text(title).raw("</h2>\n<table><tr>");
        for column in columns {
            self.raw("<th>").text(column);
        }
        self.raw("\n");
    }

    fn row(&mut self, cells: &[&str]) {
        self.raw("<tr>");
        for cell in cells {
            self.raw("<td>").text(cell);
        }
        self.raw("\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::lab::Lab;

    #[test]
    fn the_page_shows_the_farm_and_escapes_names() {
        let mut lab = Lab::with(&["A", "<B>"]);
        lab.reserve("<script>alert(\"'&\")</script>", 1);
        let entry = serde_json::json!({"seq": 1, "at": lab.now, "what": "board_came",
            "text": "a <b> happened"});
        let view = View { farm: lab.farm.into(), standings: Default::default(), now: lab.now };
        let entry = serde_json::from_value(entry).unwrap();
        let page = page(&view, &[entry], Some("the disk is <full>"));
        assert!(page.contains("&lt;B&gt;") && page.contains("a &lt;b&gt; happened"));
        assert!(page.contains("&lt;script&gt;alert(&quot;&#39;&amp;&quot;)&lt;/script&gt;"));
        assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains("<full>"));
        assert!(page.contains("1 boards can be reserved") && page.contains("http://w:8081"));
    }
}
