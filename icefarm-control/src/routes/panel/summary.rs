//! The top of the panel: how many boards are in which group, and what needs somebody.

use super::columns::{contact_name, name};
use super::marks::{badge, reason, span, time};
use crate::routes::markup::Html;
use icefarm_core::Timestamp;
use icefarm_core::wire::{BoardDetail, BoardStatus, FarmStatus, WorkerContact, WorkerDetail};

/// So many are named; the rest is counted.
const NAMED: usize = 5;

/// The groups of statuses, and what the summary calls them.
const GROUPS: [(&str, &str); 6] = [
    ("available", "Available"),
    ("reserved", "Reserved"),
    ("preparing", "Being prepared"),
    ("broken", "Broken"),
    ("offline", "Offline"),
    ("draining", "Draining"),
];

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

/// The strip of figures. With scripting each is a button, which filters the boards.
pub(super) fn tiles(status: &FarmStatus) -> String {
    let mut html = Html::default();
    for ((group, name), count) in GROUPS.into_iter().zip(counts(status)) {
        let none = if count == 0 { " none" } else { "" };
        // Hardly any farm drains boards, and most of the time none does.
        let hidden = if group == "draining" && count == 0 { " hidden" } else { "" };
        html.raw(&format!(
            "<button type=\"button\" class=\"tile{none}\" data-group=\"{group}\" \
             aria-pressed=\"false\" disabled{hidden}><span class=\"figure\">{count}</span>"
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
pub(super) fn shares(status: &FarmStatus) -> String {
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

/// What somebody has to look after, as `summary.js` tells it: broken boards, workers that cannot be
/// reached, and boards that are missing although their worker is there.
pub(super) fn troubles(boards: &[BoardDetail], workers: &[WorkerDetail], now: Timestamp) -> String {
    let away: Vec<_> = workers
        .iter()
        .filter(|worker| matches!(worker.contact, WorkerContact::Unreachable | WorkerContact::Lost))
        .collect();
    // Somebody wanted it so.
    let stopped = workers.iter().filter(|worker| worker.contact == WorkerContact::Left);
    let broken = boards.iter().filter(|board| board.status == BoardStatus::Broken);
    let missing = boards.iter().filter(|board| {
        board.status == BoardStatus::Offline
            && !away.iter().any(|worker| worker.name == board.worker)
            && !stopped.clone().any(|worker| worker.name == board.worker)
    });
    let mut items: Vec<String> = broken.map(|board| board_in_trouble(board, now)).collect();
    items.extend(away.iter().map(|worker| worker_in_trouble(worker, now)));
    items.extend(missing.map(|board| board_in_trouble(board, now)));
    let more = items.len().saturating_sub(NAMED);
    items.truncate(NAMED);
    if more > 0 {
        items.push(format!("<li class=\"more\">and {more} more</li>\n"));
    }
    items.concat()
}

fn board_in_trouble(board: &BoardDetail, now: Timestamp) -> String {
    let mut html = Html::default();
    let (group, word) = name(board.status);
    html.raw("<li><span class=\"line\"><b>").text(board.serial.as_str()).raw("</b>");
    badge(&mut html, group, word);
    if let Some(since) = board.since {
        time(&mut html, since, &span(now.since(since)));
    }
    html.raw("</span>");
    reason(&mut html, board.reason.as_deref());
    html.raw("</li>\n");
    html.0
}

fn worker_in_trouble(worker: &WorkerDetail, now: Timestamp) -> String {
    let mut html = Html::default();
    let (group, word) = contact_name(worker.contact);
    html.raw("<li><span class=\"line\"><span class=\"label\">Worker ");
    html.text(worker.name.as_str()).raw("</span>");
    badge(&mut html, group, word);
    let last = worker.last_contact;
    time(&mut html, last, &format!("{} ago", span(now.since(last))));
    html.raw("</span>");
    let which = match worker.boards {
        0 => None,
        1 => Some("its board is offline until it is back".to_owned()),
        boards => Some(format!("its {boards} boards are offline until it is back")),
    };
    reason(&mut html, which.as_deref());
    html.raw("</li>\n");
    html.0
}
