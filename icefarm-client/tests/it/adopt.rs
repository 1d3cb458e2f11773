//! Boards that another process of the same name holds.

use crate::farm::{Farm, NAME, SOON, Server, builder, serial};
use crate::network::Network;
use futures::StreamExt as _;
use icefarm_client::{Client, ClientError, Evaluator, Placement, Reservation, Untyped, codes};
use icefarm_core::wire::Event;
use serde_json::{Value, json};

/// `/v1/boards` and `/v1/workers` of a farm with one worker.
fn farm(boards: &[(&str, &str, &str, u64)], url: &str) -> (Value, Value) {
    let boards = boards.iter().map(|(serial, client, kind, lease)| {
        json!({
            "serial": serial, "worker": "w", "status": "reserved", "simulated": true,
            "lease": {
                "lease": lease, "serial": serial, "client": client, "kind": kind,
                "reservation": "r", "since": "2026-11-22T20:15:00.000Z", "expires_in_ms": 60_000,
            },
        })
    });
    let workers = json!([{
        "name": "w", "url": url, "version": "0", "incarnation": "i", "kinds": [],
        "reachable": true, "last_contact": "2026-11-22T20:15:00.000Z",
    }]);
    (boards.collect(), workers)
}

async fn adopt(
    control: &mut Server,
    client: &Client,
    serials: &[&str],
    farm: (Value, Value),
) -> Result<Reservation, ClientError> {
    let serials: Vec<_> = serials.iter().map(|text| serial(text)).collect();
    let answered = async {
        control.call("/v1/boards").await.answer(farm.0);
        control.call("/v1/workers").await.answer(farm.1);
    };
    tokio::join!(client.adopt(serials), answered).0
}

#[tokio::test]
async fn boards_that_are_held_under_the_name_can_be_used_and_stay_held() {
    let (mut control, mut worker) = (Server::start().await, Server::start().await);
    let client = builder(&control, &Network::new()).connect().await.unwrap();
    let held = farm(&[("A", NAME, "k", 4), ("B", NAME, "k", 5)], &worker.url);
    let reservation = adopt(&mut control, &client, &["B", "A", "B"], held).await.unwrap();
    assert_eq!(reservation.serials(), [serial("A"), serial("B")]);
    assert_eq!((reservation.kind().as_str(), reservation.id().as_str()), ("k", "r"));
    reservation.initialized(SOON).await.unwrap();

    let evaluator = Evaluator::<Untyped>::new(&client, &reservation).unwrap();
    let mut outcomes = evaluator.submit(("c", vec![1]), Placement::Any).await;
    let (id, boards) = worker.circuit().await;
    worker.read(&boards[0], &id, 7);
    assert_eq!(outcomes.next().await.unwrap().reading(), Some(&7.into()));

    // Only leases of the process that asks are ended, so there are none here.
    let (ended, ()) = tokio::join!(reservation.clone().end(), async {
        let call = control.call("/end").await;
        assert_eq!(call.text("instance"), client.instance().as_str());
        call.answer(json!([]));
    });
    assert_eq!(ended.unwrap(), []);
    reservation.initialized(SOON).await.unwrap();
}

#[tokio::test]
async fn what_is_not_held_under_the_name_is_not_adopted() {
    let mut control = Server::start().await;
    let client = builder(&control, &Network::new()).connect().await.unwrap();
    let boards = [("A", NAME, "k", 1), ("B", "bob", "k", 2), ("C", NAME, "other", 3)];
    let answer = || farm(&boards, "http://127.0.0.1:1");
    for missing in ["B", "D"] {
        let error = adopt(&mut control, &client, &["A", missing], answer()).await.unwrap_err();
        let ClientError::NotHeld { serial: named } = error else { panic!("{error:?}") };
        assert_eq!(named, serial(missing));
    }
    let error = adopt(&mut control, &client, &["A", "C"], answer()).await.unwrap_err();
    assert!(matches!(error, ClientError::MixedKinds { .. }), "{error:?}");
    let error = adopt(&mut control, &client, &[], answer()).await.unwrap_err();
    assert!(matches!(error, ClientError::NoBoards), "{error:?}");
}

#[tokio::test]
async fn a_lease_that_ends_before_its_board_is_adopted_is_not_served() {
    let (mut control, worker) = (Server::start().await, Server::start().await);
    let client = builder(&control, &Network::new()).connect().await.unwrap();
    let mut events = client.events();
    let held = farm(&[("A", NAME, "k", 4)], &worker.url);
    let (adopted, ()) = tokio::join!(client.adopt([serial("A")]), async {
        control.call("/v1/boards").await.answer(held.0);
        let workers = control.call("/v1/workers").await;
        control.tell("A", Event::new("reservation end").with("lease", 4));
        events.next().await.unwrap();
        workers.answer(held.1);
    });
    let error = adopted.unwrap().initialized(SOON).await.unwrap_err();
    assert!(matches!(error, ClientError::BoardLost { .. }), "{error:?}");
}

#[tokio::test]
async fn every_lost_board_is_told_once() {
    let farm = Farm::with(&[("A", 0), ("B", 0), ("C", 0)]).await;
    let tell = |board: &str, event: Event| farm.workers[0].tell(board, event);
    let mut events = farm.client.events();
    tell("B", Event::new("failure").with("lease", 2).with("reason", "hot"));
    events.next().await.unwrap();
    let mut losses = farm.reservation.losses();
    let mut next = async || match losses.next().await {
        Some(ClientError::BoardLost { serial, code, reason }) => {
            Some((serial.to_string(), code, reason))
        }
        None => None,
        other => panic!("{other:?}"),
    };
    let failed = |board: &str, why: &str| {
        let reason = format!("board {board} failed: {why}");
        Some((board.to_owned(), codes::BOARD_FAILED.to_owned(), reason))
    };
    assert_eq!(next().await, failed("B", "hot"));
    tell("B", Event::new("reservation end").with("lease", 2));
    tell("A", Event::new("initialized").with("lease", 1));
    tell("C", Event::new("failure").with("lease", 3).with("reason", "wet"));
    assert_eq!(next().await, failed("C", "wet"));
    tell("A", Event::new("failure").with("lease", 1).with("reason", "cold"));
    assert_eq!(next().await, failed("A", "cold"));
    assert_eq!(next().await, None);
}
