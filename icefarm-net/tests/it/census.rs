//! A hub counts what it does.

use crate::farm::{RawSocket, TEXT, farm};
use icefarm_core::wire::{Event, ServerFrame};
use icefarm_net::HubConfig;

#[tokio::test]
async fn frames_and_refusals_are_counted() {
    let mut config = HubConfig::default();
    // Room for one frame, the newest.
    config.outbox.bytes = 1;
    let farm = farm(config);
    let client = "tester".parse().unwrap();
    for _ in 0..3 {
        farm.hub.publish(&client, ServerFrame::new("A", vec![Event::new("results")]));
    }
    assert!(farm.hub.publish_numbered(&client, 9, ServerFrame::new("A", vec![])));
    assert!(!farm.hub.publish_numbered(&client, 9, ServerFrame::new("A", vec![])), "twice");
    let census = farm.hub.census();
    assert_eq!((census.streams, census.sockets, census.waiting), (1, 0, 1));
    assert_eq!((census.published, census.dropped), (4, 3));
    assert!(census.waiting_bytes > 0 && census.memory_limit == 512 << 20, "{census:?}");
    assert!(census.refused.is_empty());

    let mut socket = RawSocket::open(farm.dial().await, "/ws?client_id=tester&v=1&sub=s").await;
    for message in ["[]", "no JSON"] {
        socket.send(TEXT, message).await;
        while socket.json().await["contents"][0]["event"] != "error" {}
    }
    let census = farm.hub.census();
    assert_eq!(census.sockets, 1);
    assert_eq!(census.refused, [("bad_request", 2)].into());
}
