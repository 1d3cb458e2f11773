//! The table of who waits for boards; `columns.js` fills the same columns with scripting.

use super::columns::{Column, Shown};
use super::marks::{reason, span, time};
use icefarm_core::wire::QueueEntry;

pub(super) const WAITING: &[Column<QueueEntry>] = &[
    Column {
        name: "name",
        head: "Next in line",
        shown: Shown::Plain,
        fill: |html, waiting, _| {
            html.raw(&format!(
                "<span class=\"names\">{}. <span class=\"label\">",
                waiting.position
            ));
            html.text(waiting.client.as_str()).raw("</span></span>");
            reason(html, Some(&waiting.why));
        },
    },
    Column {
        name: "wants",
        head: "Wants",
        shown: Shown::Labelled,
        fill: |html, waiting, _| {
            html.text(&wants(waiting));
        },
    },
    Column {
        name: "kind",
        head: "Kind",
        shown: Shown::Labelled,
        fill: |html, waiting, _| {
            html.text(waiting.kind.as_str());
        },
    },
    Column {
        name: "priority",
        head: "Priority",
        shown: Shown::Number,
        fill: |html, waiting, _| {
            html.text(&waiting.priority.to_string());
        },
    },
    Column {
        name: "waits",
        head: "Waiting",
        shown: Shown::Labelled,
        fill: |html, waiting, now| time(html, waiting.since, &span(now.since(waiting.since))),
    },
    Column {
        name: "left",
        head: "Gives up in",
        shown: Shown::Labelled,
        fill: |html, waiting, now| time(html, waiting.expires, &span(waiting.expires.since(now))),
    },
    Column { name: "deeds", head: "Actions", shown: Shown::Deeds, fill: |_, _, _| {} },
];

/// Which boards somebody waits for.
fn wants(waiting: &QueueEntry) -> String {
    let which = match waiting.simulated {
        Some(true) => " simulated",
        Some(false) => " real",
        None => "",
    };
    let boards = if waiting.amount == 1 { "board" } else { "boards" };
    let mut text = format!("{}{which} {boards}", waiting.amount);
    let serials: Vec<&str> = waiting.serials.iter().map(|serial| serial.as_str()).collect();
    if !serials.is_empty() {
        text += &format!(": {}", serials.join(", "));
    }
    let labels: Vec<String> =
        waiting.labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
    if !labels.is_empty() {
        text += &format!(" with {}", labels.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_somebody_waits_for_is_told_in_one_line() {
        let mut entry = json!({"reservation": "r", "position": 1, "client": "ann",
            "kind": "pulsecount", "amount": 1, "priority": 0, "why": "",
            "since": "2026-01-01T00:00:00.000Z", "expires": "2026-01-01T00:05:00.000Z"});
        let told =
            |entry: &serde_json::Value| wants(&serde_json::from_value(entry.clone()).unwrap());
        assert_eq!(told(&entry), "1 board");
        entry["amount"] = json!(2);
        entry["simulated"] = json!(false);
        entry["labels"] = json!({"rack": "2", "row": "b"});
        assert_eq!(told(&entry), "2 real boards with rack=2, row=b");
        entry["labels"] = json!({});
        entry["serials"] = json!(["A", "B"]);
        assert_eq!(told(&entry), "2 real boards: A, B");
    }
}
