//! A reservation that is asked for again.

use super::Refusal;
use super::lab::{Lab, ask};
use icefarm_core::Object;
use icefarm_core::wire::{ErrorCode, ReserveRequest, Selection};

fn first() -> ReserveRequest {
    ReserveRequest {
        request: Some("q".into()),
        args: Object::from([("window".into(), 5.into())]),
        instance: Some("one".into()),
        ttl_s: Some(60),
        simulated: Some(false),
        ..ask("ann", Selection::Amount(1))
    }
}

#[test]
fn a_repetition_that_differs_in_anything_is_refused() {
    let changes: [fn(&mut ReserveRequest); 8] = [
        |ask| ask.selection = Selection::Amount(2),
        |ask| ask.selection = Selection::Serials(vec!["A".parse().unwrap()]),
        |ask| ask.args = Object::from([("window".into(), 6.into())]),
        |ask| ask.args = Object::from([("window".into(), "5".into())]),
        |ask| ask.args.clear(),
        |ask| ask.instance = Some("two".into()),
        |ask| ask.ttl_s = None,
        |ask| ask.simulated = None,
    ];
    let mut lab = Lab::with(&["A", "B"]);
    let granted = lab.try_reserve(first()).unwrap();
    for (n, change) in changes.into_iter().enumerate() {
        let mut other = first();
        change(&mut other);
        let refusal = lab.try_reserve(other).unwrap_err();
        assert_eq!(refusal, Refusal::RequestReused { request: "q".into() }, "change {n}");
        let detail = refusal.detail();
        assert_eq!(detail.code, ErrorCode::Conflict);
        assert!(detail.message.contains("`args`") && detail.message.contains("a new id"));
    }
    assert_eq!(lab.try_reserve(first()).unwrap(), granted);
    assert_eq!(lab.farm.leases.len(), 1);
}
