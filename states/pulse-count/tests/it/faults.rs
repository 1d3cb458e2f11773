//! What boards do to circuits: there is one outcome each, and never a wrong figure.

use crate::bench::{Bench, LONG, circuit, code, pulses};
use icefarm_core::evaluation::Outcome;
use icefarm_core::{Board as _, Face};
use icefarm_sim::VirtualBoard;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Well inside of the second in which a board counts.
const COUNTING: Duration = Duration::from_millis(700);

#[tokio::test(start_paused = true)]
async fn a_firmware_that_stops_is_restarted_and_the_circuit_runs_again() {
    let (plugged, mut bench) = Bench::reserve().await;
    bench.evaluate("b", &[("1", &circuit("pulses_1000.bin"))]).await.unwrap();
    sleep(COUNTING).await;
    plugged.board.stall();
    let evaluated = bench.result().await;
    assert_eq!(pulses(&evaluated), 1000);
    assert_eq!(evaluated.provenance.attempt, 2);
    // Whose residue may be on the FPGA is told as it is: its own.
    assert_eq!(evaluated.provenance.sequence, Some(1));
    assert_eq!(evaluated.provenance.previous_sha256, Some(evaluated.provenance.sha256.clone()));
    assert!(!bench.has_failed());
}

#[tokio::test(start_paused = true)]
async fn noise_is_no_answer() {
    let (plugged, mut bench) = Bench::reserve().await;
    let circuit = circuit("pulses_12345.bin");
    for when in [Duration::ZERO, COUNTING] {
        bench.evaluate("b", &[("1", &circuit)]).await.unwrap();
        sleep(when).await;
        plugged.board.garbage();
        let evaluated = bench.result().await;
        assert_eq!((pulses(&evaluated), evaluated.provenance.attempt), (12_345, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_circuit_fails_after_two_attempts_and_the_next_one_does_not() {
    let (plugged, mut bench) = Bench::reserve().await;
    let circuit = circuit("pulses_1000.bin");
    bench.evaluate("b", &[("1", &circuit)]).await.unwrap();
    bench.evaluate("b", &[("2", &circuit)]).await.unwrap();
    sleep(COUNTING).await;
    plugged.board.garbage();
    on_the_bus(&plugged.board, false).await;
    on_the_bus(&plugged.board, true).await;
    sleep(COUNTING).await;
    plugged.board.garbage();

    let results = bench.results().await;
    assert_eq!(results.pairs, json!([["1", null]]));
    let failed = &results.outcomes[0];
    assert!(matches!(failed.outcome, Outcome::Failed { .. }));
    let (code, reason) = code(failed);
    assert_eq!(code, "board_garbled");
    assert!(reason.contains("tried 2 times"), "{reason}");
    assert_eq!((failed.provenance.attempt, failed.provenance.window_us), (2, None));
    assert_eq!(pulses(&bench.result().await), 1000);
    assert!(!bench.has_failed());
}

#[tokio::test(start_paused = true)]
async fn a_board_that_is_pulled_and_comes_back_goes_on() {
    let (plugged, mut bench) = Bench::reserve().await;
    let circuit = circuit("pulses_1000.bin");
    bench.evaluate("b", &[("1", &circuit)]).await.unwrap();
    sleep(COUNTING).await;
    pull_and_plug(&plugged.board, &mut bench).await;
    let evaluated = bench.result().await;
    assert_eq!((pulses(&evaluated), evaluated.provenance.attempt), (1000, 2));

    // While nothing is under way, nobody notices.
    pull_and_plug(&plugged.board, &mut bench).await;
    bench.evaluate("b", &[("2", &circuit)]).await.unwrap();
    let evaluated = bench.result().await;
    assert_eq!((pulses(&evaluated), evaluated.provenance.attempt), (1000, 1));
}

/// Waits until the board has come onto the bus, or has left it.
async fn on_the_bus(board: &VirtualBoard, there: bool) {
    let mut presence = board.presence();
    let moved = presence.wait_for(|now| now.face.is_some() == there);
    timeout(LONG, moved).await.unwrap().unwrap();
}

/// What a worker sees and tells the state of it.
async fn pull_and_plug(board: &VirtualBoard, bench: &mut Bench) {
    board.unplug();
    on_the_bus(board, false).await;
    bench.state.removed().await.unwrap();
    sleep(Duration::from_secs(3)).await;
    board.plug();
    on_the_bus(board, true).await;
    bench.state.added(Face::Application).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_board_that_is_gone_fails_the_lease() {
    let (plugged, mut bench) = Bench::reserve().await;
    bench.evaluate("b", &[("1", &circuit("pulses_1000.bin"))]).await.unwrap();
    sleep(COUNTING).await;
    plugged.board.unplug();
    bench.state.removed().await.unwrap();
    let failed = bench.result().await;
    assert!(matches!(failed.outcome, Outcome::Failed { .. }));
    assert_eq!(code(&failed).0, "board_lost");
    assert_eq!(
        bench.failure().await,
        "the board does not work any more: it was not back on the bus after 60 s"
    );
}

#[tokio::test(start_paused = true)]
async fn a_board_that_hangs_fails_the_lease() {
    let (plugged, mut bench) = Bench::reserve().await;
    bench.evaluate("b", &[("1", &circuit("pulses_1000.bin"))]).await.unwrap();
    sleep(COUNTING).await;
    plugged.board.hang();
    let failed = bench.result().await;
    assert_eq!(code(&failed).0, "board_no_answer");
    let failure = bench.failure().await;
    assert!(failure.contains("it did not restart"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_reboot_runs_the_interrupted_circuit_again_and_keeps_the_queue() {
    let (_plugged, mut bench) = Bench::reserve().await;
    let (one, other) = (circuit("pulses_1000.bin"), circuit("pulses_12345.bin"));
    bench.evaluate("b", &[("1", &one), ("2", &other)]).await.unwrap();
    sleep(COUNTING).await;
    bench.state.reboot().await.unwrap();
    let first = bench.result().await;
    assert_eq!((first.id.as_str(), pulses(&first), first.provenance.attempt), ("1", 1000, 2));
    let second = bench.result().await;
    assert_eq!((second.id.as_str(), pulses(&second), second.provenance.attempt), ("2", 12_345, 1));
    assert!(bench.is_silent().await);
}

#[tokio::test(start_paused = true)]
async fn a_reboot_waits_for_a_board_that_is_away() {
    let (plugged, mut bench) = Bench::reserve().await;
    bench.evaluate("b", &[("1", &circuit("pulses_1000.bin"))]).await.unwrap();
    sleep(COUNTING).await;
    plugged.board.unplug();
    tokio::spawn(async move {
        sleep(Duration::from_secs(5)).await;
        plugged.board.plug();
        // The bus goes with its last owner.
        std::future::pending::<()>().await;
        drop(plugged);
    });
    bench.state.reboot().await.unwrap();
    assert_eq!(pulses(&bench.result().await), 1000);
}

#[tokio::test(start_paused = true)]
async fn a_reboot_that_does_not_help_is_an_error() {
    let (plugged, mut bench) = Bench::reserve().await;
    plugged.board.hang();
    let error = bench.state.reboot().await.unwrap_err();
    assert!(error.to_string().contains("it did not restart"), "{error}");
}

/// A lease ends while the board counts, and the next one finds the firmware still running. The
/// answer that the board then writes is not for the new lease's circuit.
#[tokio::test(start_paused = true)]
async fn the_answer_to_an_earlier_lease_is_not_taken() {
    let (earlier, later) = (circuit("pulses_12345.bin"), circuit("pulses_1000.bin"));
    for pause in [0, 50, 150, 300, 900, 1100, 1190, 1210, 1230, 1300] {
        let (plugged, mut bench) = Bench::reserve().await;
        bench.evaluate("b", &[("1", &earlier)]).await.unwrap();
        sleep(Duration::from_millis(20)).await;
        bench.end().await;
        sleep(Duration::from_millis(pause)).await;

        let mut bench = plugged.lease(json!({})).unwrap();
        bench.state.start().await.unwrap();
        bench.evaluate("b", &[("2", &later)]).await.unwrap();
        assert_eq!(pulses(&bench.result().await), 1000, "{pause} ms after the first lease");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_lease_pushes_what_is_there() {
    let (_plugged, mut bench) = Bench::reserve().await;
    bench.evaluate("b", &[("1", &vec![1].into())]).await.unwrap();
    bench.state.exit().await;
    assert_eq!(code(&bench.result().await).0, "wrong_length");
}

/// Faults at all times, in an order that differs from case to case.
#[test]
fn whatever_happens_there_is_one_true_outcome_each() {
    use proptest::prelude::*;
    let fault = (0..4u8, 0..2500u64);
    let config = ProptestConfig { cases: 12, failure_persistence: None, ..Default::default() };
    proptest!(config, |(faults in proptest::collection::vec(fault, 1..6))| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        runtime.block_on(survive(faults));
    });
}

async fn survive(faults: Vec<(u8, u64)>) {
    let (plugged, mut bench) = Bench::reserve().await;
    let (one, other) = (circuit("pulses_1000.bin"), circuit("pulses_12345.bin"));
    let ids: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    for (n, id) in ids.iter().enumerate() {
        let circuit = if n % 2 == 0 { &one } else { &other };
        bench.evaluate("b", &[(id, circuit)]).await.unwrap();
    }
    for (fault, when) in faults {
        sleep(Duration::from_millis(when)).await;
        match fault {
            0 => plugged.board.stall(),
            1 => plugged.board.garbage(),
            2 => pull_and_plug(&plugged.board, &mut bench).await,
            _ => bench.state.reboot().await.unwrap(),
        }
    }
    let mut open: BTreeSet<_> = ids.into_iter().collect();
    while !open.is_empty() {
        for evaluated in bench.results().await.outcomes {
            let id = evaluated.id.to_string();
            assert!(open.remove(&id), "a second outcome: {evaluated:?}");
            let expected = if id.parse::<u32>().unwrap() % 2 == 0 { 1000 } else { 12_345 };
            match evaluated.outcome {
                Outcome::Reading { reading } => assert_eq!(reading.pulses, expected),
                Outcome::Failed { .. } => {}
                Outcome::Refused { .. } => panic!("{evaluated:?}"),
            }
        }
    }
    assert!(bench.is_silent().await);
    assert!(!bench.has_failed());
}
