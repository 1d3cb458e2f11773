//! Small pieces that the panel is made of without scripting, as `marks.js` and `time.js` make them.

use crate::routes::markup::Html;
use icefarm_core::Timestamp;
use icefarm_core::wire::JournalEntry;
use std::time::Duration;

/// A symbol and a word in one colour.
pub(super) fn badge(html: &mut Html, group: &str, name: &str) {
    html.raw(&format!(
        "<span class=\"status\" data-group=\"{group}\"><svg class=\"symbol\" aria-hidden=\"true\">\
         <use href=\"#s-{group}\"/></svg>"
    ));
    html.text(name).raw("</span>");
}

/// One thing that happened.
pub(super) fn event(html: &mut Html, entry: &JournalEntry, now: Timestamp) {
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

/// The second line of a cell, if there is anything to say.
pub(super) fn reason(html: &mut Html, reason: Option<&str>) {
    if let Some(reason) = reason {
        html.raw("<span class=\"reason\">").text(reason).raw("</span>");
    }
}

/// A moment, and how it is told.
pub(super) fn time(html: &mut Html, at: Timestamp, text: &str) {
    html.raw(&format!("<time datetime=\"{at}\" title=\"{at}\">"));
    html.text(text).raw("</time>");
}

/// How long something takes, for people; as `time.js` says it.
pub(super) fn span(duration: Duration) -> String {
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

    #[test]
    fn spans_are_told_in_one_or_two_units() {
        let told = |seconds| span(Duration::from_secs(seconds));
        assert_eq!([told(0), told(59), told(60), told(3599)], ["0 s", "59 s", "1 min", "59 min"]);
        assert_eq!([told(3600), told(7500)], ["1 h 00 min", "2 h 05 min"]);
        assert_eq!([told(172_799), told(172_800)], ["47 h 59 min", "2 d"]);
    }
}
