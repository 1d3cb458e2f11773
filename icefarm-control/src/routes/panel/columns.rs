//! The tables of the panel: which columns they have, and what stands in them without scripting.
//! `columns.js` fills the same columns with scripting.

use super::marks::{badge, reason, span, time};
use crate::routes::markup::Html;
use icefarm_core::Timestamp;
use icefarm_core::wire::{BoardDetail, BoardStatus, WorkerContact, WorkerDetail};
use std::time::Duration;

/// A column of a table of `T`.
pub(super) struct Column<T> {
    /// Its name in `columns.js`, and the class of its cells.
    pub(super) name: &'static str,
    /// What its head says.
    pub(super) head: &'static str,
    /// How its cells are shown.
    pub(super) shown: Shown,
    pub(super) fill: fn(&mut Html, &T, Timestamp),
}

/// How the cells of a column are shown.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Shown {
    /// They speak for themselves.
    Plain,
    /// On a phone, where there are no heads, the head stands beside them.
    Labelled,
    /// As `Labelled`, and they are figures.
    Number,
    /// They are buttons, and need no head that is seen.
    Deeds,
}

pub(super) const BOARDS: &[Column<BoardDetail>] = &[
    Column { name: "serial", head: "Board", shown: Shown::Plain, fill: serial },
    Column { name: "standing", head: "Status", shown: Shown::Plain, fill: standing },
    Column {
        name: "holder",
        head: "Holder",
        shown: Shown::Labelled,
        fill: |html, board, _| {
            html.text(board.lease.as_ref().map_or("", |lease| lease.client.as_str()));
        },
    },
    Column {
        name: "kind",
        head: "Kind",
        shown: Shown::Labelled,
        fill: |html, board, _| {
            html.text(board.lease.as_ref().map_or("", |lease| lease.kind.as_str()));
        },
    },
    Column {
        name: "left",
        head: "Time left",
        shown: Shown::Number,
        fill: |html, board, _| {
            let left = board.lease.as_ref().map(|lease| Duration::from_millis(lease.expires_in_ms));
            html.text(&left.map(span).unwrap_or_default());
        },
    },
    Column {
        name: "worker",
        head: "Worker",
        shown: Shown::Labelled,
        fill: |html, board, _| {
            html.text(board.worker.as_str());
        },
    },
    Column { name: "deeds", head: "Actions", shown: Shown::Deeds, fill: |_, _, _| {} },
];

pub(super) const WORKERS: &[Column<WorkerDetail>] = &[
    Column {
        name: "name",
        head: "Worker",
        shown: Shown::Plain,
        fill: |html, worker, _| {
            html.raw("<span class=\"label\">").text(worker.name.as_str()).raw("</span>");
            reason(html, Some(&worker.url));
        },
    },
    Column { name: "contact", head: "Contact", shown: Shown::Plain, fill: contact },
    Column {
        name: "boards",
        head: "Boards",
        shown: Shown::Number,
        fill: |html, worker, _| {
            html.text(&worker.boards.to_string());
        },
    },
    Column {
        name: "version",
        head: "Version",
        shown: Shown::Labelled,
        fill: |html, worker, _| {
            html.text(&worker.version);
        },
    },
    Column {
        name: "kinds",
        head: "Kinds",
        shown: Shown::Labelled,
        fill: |html, worker, _| {
            html.raw("<ul>");
            for kind in &worker.kinds {
                html.raw("<li>").text(kind.kind.as_str());
                reason(html, Some(&format!("{} {}", kind.crate_name, kind.crate_version)));
                html.raw("</li>");
            }
            html.raw("</ul>");
        },
    },
    Column { name: "deeds", head: "Actions", shown: Shown::Deeds, fill: |_, _, _| {} },
];

/// The heads of a table.
pub(super) fn heads<T>(columns: &[Column<T>]) -> String {
    let mut html = Html::default();
    for Column { name, head, shown, .. } in columns {
        html.raw(&format!(
            "<th role=\"columnheader\" scope=\"col\" data-column=\"{name}\"{}>",
            match shown {
                Shown::Plain | Shown::Deeds => String::new(),
                Shown::Labelled => format!(" data-label=\"{head}\""),
                Shown::Number => format!(" data-label=\"{head}\" class=\"number\""),
            }
        ));
        match shown {
            Shown::Deeds => html.raw(&format!("<span class=\"unseen\">{head}</span></th>")),
            _ => html.raw(head).raw("</th>"),
        };
    }
    html.0
}

/// The rows of a table, each with `mark` among its attributes.
pub(super) fn rows<T>(
    columns: &[Column<T>],
    items: &[T],
    now: Timestamp,
    mark: impl Fn(&T) -> String,
) -> String {
    let mut html = Html::default();
    for item in items {
        html.raw(&format!("<tr role=\"row\" {}>", mark(item)));
        for (place, Column { name, head, shown, fill }) in columns.iter().enumerate() {
            let (tag, role) =
                if place == 0 { ("th scope=\"row\"", "rowheader") } else { ("td", "cell") };
            let number = if *shown == Shown::Number { " number" } else { "" };
            html.raw(&format!("<{tag} role=\"{role}\" class=\"{name}{number}\""));
            if matches!(shown, Shown::Labelled | Shown::Number) {
                html.raw(&format!(" data-label=\"{head}\""));
            }
            html.raw(">");
            fill(&mut html, item, now);
            html.raw(if place == 0 { "</th>" } else { "</td>" });
        }
        html.raw("</tr>\n");
    }
    html.0
}

/// What people call a status, and the group that it is in.
pub(super) fn name(status: BoardStatus) -> (&'static str, &'static str) {
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

/// The same of a worker.
pub(super) fn contact_name(contact: WorkerContact) -> (&'static str, &'static str) {
    match contact {
        WorkerContact::Reachable => ("available", "Reachable"),
        WorkerContact::Awaited => ("preparing", "Awaited"),
        WorkerContact::Unreachable => ("broken", "Unreachable"),
        WorkerContact::Lost => ("broken", "Lost"),
        WorkerContact::Left => ("offline", "Stopped"),
        other => ("draining", other.as_str()),
    }
}

fn serial(html: &mut Html, board: &BoardDetail, _: Timestamp) {
    html.raw("<span class=\"names\"><b>").text(board.serial.as_str()).raw("</b>");
    if let Some(name) = &board.name {
        html.raw("<span class=\"label\">").text(name).raw("</span>");
    }
    if board.simulated {
        html.raw("<span class=\"tag\">simulated</span>");
    }
    html.raw("</span>");
}

fn standing(html: &mut Html, board: &BoardDetail, now: Timestamp) {
    let (group, word) = name(board.status);
    html.raw("<span class=\"line\">");
    badge(html, group, word);
    if let Some(since) = board.since {
        time(html, since, &span(now.since(since)));
    }
    html.raw("</span>");
    reason(html, board.reason.as_deref());
}

fn contact(html: &mut Html, worker: &WorkerDetail, now: Timestamp) {
    let (group, word) = contact_name(worker.contact);
    html.raw("<span class=\"line\">");
    badge(html, group, word);
    time(html, worker.last_contact, &format!("{} ago", span(now.since(worker.last_contact))));
    html.raw("</span>");
    match (worker.stops, worker.draining) {
        (Some(_), _) => reason(html, Some("nothing new is placed on it: is stopping")),
        (None, true) => reason(html, Some("nothing new is placed on it: an operator drains it")),
        (None, false) => {}
    }
    if !worker.refused.is_empty() {
        let refused: Vec<_> = worker.refused.iter().map(|serial| serial.as_str()).collect();
        reason(html, Some(&format!("reports boards of another worker: {}", refused.join(", "))));
    }
}
