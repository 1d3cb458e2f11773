//! What is loaded is what was decided, after every command.

use super::{Batch, Letter, SqliteStore, Store};
use crate::machine::lab::START;
use crate::machine::properties::{rules, step};
use crate::machine::{Decision, Farm, Notice, decide};
use proptest::prelude::*;
use std::time::Duration;

fn batch(decision: &Decision) -> Batch {
    let letter = |notice: &Notice| match notice {
        Notice::Client { client, serial, contents } => {
            Some((client.clone(), Letter { serial: serial.clone(), contents: contents.clone() }))
        }
        Notice::Available { .. } => None,
    };
    Batch {
        at: START,
        changes: decision.changes.clone(),
        letters: decision.notices.iter().filter_map(letter).collect(),
        ..Batch::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_store_follows_the_farm(steps in prop::collection::vec((step(), 0u64..90), 1..50)) {
        let mut store = SqliteStore::in_memory().unwrap();
        let mut farm = Farm::empty(rules(), START);
        let mut now = START;
        for (step, seconds) in steps {
            now = now.after(Duration::from_secs(seconds));
            if let Some(command) = step.command(&farm) {
                let Ok(decision) = decide(&farm, command, now) else { continue };
                for change in &decision.changes {
                    farm.apply(change);
                }
                store.commit(&batch(&decision)).unwrap();
            } else {
                farm = farm.as_stored();
            }
            let mut expected = farm.as_stored();
            (expected.started, expected.awake) = (START, START);
            let stored = store.load(rules(), START).unwrap();
            prop_assert_eq!(stored.farm, expected);
        }
    }
}
