//! What somebody may see of leases that are not his: that a board is taken, and nothing else.

use icefarm_core::ClientName;
use icefarm_core::LeaseId;
use icefarm_core::wire::{BoardDetail, BoardInFull, Happening, JournalEntry, JournalPage};

/// Leaves out whose lease is on the board, unless it may be seen.
pub(crate) fn board(board: &mut BoardDetail, sees: impl Fn(&ClientName) -> bool) {
    if board.lease.as_ref().is_some_and(|lease| !sees(&lease.client)) {
        board.lease = None;
        // What its worker says meanwhile may come from the holder's state.
        board.reason = None;
    }
}

/// Leaves out what tells of leases that may not be seen.
pub(crate) fn in_full(full: &mut BoardInFull, sees: impl Fn(&ClientName) -> bool) {
    let was_leased = full.board.lease.is_some();
    board(&mut full.board, &sees);
    let own = full.board.lease.as_ref().map(|lease| lease.lease);
    if was_leased && own.is_none() {
        "Somebody holds it.".clone_into(&mut full.why);
    }
    if full.last_lease.as_ref().map(|last| last.lease) != own {
        full.last_lease = None;
    }
    full.token = own.unwrap_or(LeaseId(0));
    full.history.iter_mut().for_each(|entry| happening(entry, &sees));
}

/// The same for a page of the journal. Numbers stay without gaps.
pub(crate) fn page(page: &mut JournalPage, sees: impl Fn(&ClientName) -> bool) {
    page.events.iter_mut().for_each(|entry| happening(entry, &sees));
}

fn happening(entry: &mut JournalEntry, sees: impl Fn(&ClientName) -> bool) {
    // Only what is about a lease names a client.
    if entry.client.as_ref().is_none_or(sees) {
        return;
    }
    let board = match &entry.serial {
        Some(serial) => format!("board {serial}"),
        None => "a board".to_owned(),
    };
    entry.text = match entry.what {
        Happening::LeaseGranted => format!("{board} was reserved"),
        Happening::LeaseEnded => format!("a reservation of {board} is over"),
        Happening::BoardRebooted => format!("{board} is rebooted, as somebody asked for"),
        _ => format!("something happened to a reservation of {board}"),
    };
    (entry.client, entry.lease) = (None, None);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Standings;
    use crate::machine::lab::{Lab, serving};
    use crate::view::View;
    use icefarm_core::Timestamp;

    fn entry(what: Happening, client: Option<&str>) -> JournalEntry {
        JournalEntry {
            seq: 1,
            at: Timestamp(1),
            what,
            text: "ann reserved board A for pulse count (lease 7, 60 s)".into(),
            warning: false,
            serial: Some("A".parse().unwrap()),
            status: None,
            worker: Some("w".parse().unwrap()),
            lease: Some(LeaseId(7)),
            client: client.map(|client| client.parse().unwrap()),
        }
    }

    #[test]
    fn nothing_is_told_of_the_lease_of_another() {
        let mut lab = Lab::with(&["A", "B"]);
        lab.reserve("ann", 1);
        lab.beat("w", "w1", vec![serving("A", 1, 2)]);
        let view =
            View { farm: lab.farm.into(), standings: Standings::default().into(), now: lab.now };
        let shown = |sees: bool| {
            let mut boards = view.boards();
            boards.iter_mut().for_each(|entry| board(entry, |_| sees));
            serde_json::to_string(&boards).unwrap()
        };
        for told in ["ann", "pulse count", "\"r1\""] {
            assert!(shown(true).contains(told) && !shown(false).contains(told), "{told}");
        }
        assert!(shown(false).contains("\"reserved\"") && shown(false).contains("\"A\""));
    }

    #[test]
    fn the_journal_says_that_a_board_was_reserved_and_not_by_whom() {
        for what in Happening::ALL {
            let mut told = entry(*what, Some("ann"));
            happening(&mut told, |_| false);
            let text = serde_json::to_string(&told).unwrap();
            assert!(!text.contains("ann") && told.lease.is_none(), "{text}");
            assert!(told.text.contains("board A") && !told.text.contains('7'), "{text}");
            let mut own = entry(*what, Some("ann"));
            happening(&mut own, |_| true);
            assert_eq!(own, entry(*what, Some("ann")));
        }
        let mut common = entry(Happening::BoardStatus, None);
        happening(&mut common, |_| false);
        assert_eq!(common, entry(Happening::BoardStatus, None));
    }
}
