//! What boards do to circuits: there is one outcome each, and never a wrong figure.

use crate::bench::{bench, circuit, code, evaluate, pulses, reserved, result, results};
use icefarm_core::Board as _;
use icefarm_core::evaluation::Outcome;
use icefarm_sim::VirtualBoard;
use icefarm_state_pulse_count::KIND;
use icefarm_testkit::TestBoard;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Well inside of the second in which a board counts.
const COUNTING: Duration = Duration::from_millis(700);

#[tokio::test(start_paused = true)]
async fn a_firmware_that_stops_is_restarted_and_the_circuit_runs_again() {
    let board = reserved().await;
    evaluate(&board, "b", &[("1", &circuit("pulses_1000.bin"))]).await.unwrap();
    sleep(COUNTING).await;
    board.virtual_board().stall();
    let evaluated = result(&board).await;
    assert_eq!(pulses(&evaluated), 1000);
    assert_eq!(evaluated.provenance.attempt, 2);
    // Whose residue may be on the FPGA is told as it is: its own.
    assert_eq!(evaluated.provenance.sequence, Some(1));
    assert_eq!(evaluated.provenance.previous_sha256, Some(evaluated.provenance.sha256.clone()));
    board.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn noise_is_no_answer() {
    let board = reserved().await;
    let circuit = circuit("pulses_12345.bin");
    for when in [Duration::ZERO, COUNTING] {
        evaluate(&board, "b", &[("1", &circuit)]).await.unwrap();
        sleep(when).await;
        board.virtual_board().garbage();
        let evaluated = result(&board).await;
        assert_eq!((pulses(&evaluated), evaluated.provenance.attempt), (12_345, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_circuit_fails_after_two_attempts_and_the_next_one_does_not() {
    let board = reserved().await;
    let circuit = circuit("pulses_1000.bin");
    evaluate(&board, "b", &[("1", &circuit)]).await.unwrap();
    evaluate(&board, "b", &[("2", &circuit)]).await.unwrap();
    sleep(COUNTING).await;
    board.virtual_board().garbage();
    on_the_bus(board.virtual_board(), false).await;
    on_the_bus(board.virtual_board(), true).await;
    sleep(COUNTING).await;
    board.virtual_board().garbage();

    let results = results(&board).await;
    assert_eq!(results.pairs, json!([["1", null]]));
    let failed = &results.outcomes[0];
    assert!(matches!(failed.outcome, Outcome::Failed { .. }));
    let (code, reason) = code(failed);
    assert_eq!(code, "board_garbled");
    assert!(reason.contains("tried 2 times"), "{reason}");
    assert_eq!((failed.provenance.attempt, failed.provenance.window_us), (2, None));
    assert_eq!(pulses(&result(&board).await), 1000);
    board.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_board_that_is_pulled_and_comes_back_goes_on() {
    let board = reserved().await;
    let circuit = circuit("pulses_1000.bin");
    evaluate(&board, "b", &[("1", &circuit)]).await.unwrap();
    sleep(COUNTING).await;
    pull_and_plug(&board).await;
    let evaluated = result(&board).await;
    assert_eq!((pulses(&evaluated), evaluated.provenance.attempt), (1000, 2));

    // While nothing is under way, nobody notices.
    pull_and_plug(&board).await;
    evaluate(&board, "b", &[("2", &circuit)]).await.unwrap();
    let evaluated = result(&board).await;
    assert_eq!((pulses(&evaluated), evaluated.provenance.attempt), (1000, 1));
}

/// Waits until the board has come onto the bus, or has left it.
async fn on_the_bus(board: &VirtualBoard, there: bool) {
    let mut presence = board.presence();
    let moved = presence.wait_for(|now| now.face.is_some() == there);
    timeout(Duration::from_secs(600), moved).await.unwrap().unwrap();
}

/// Somebody pulls the plug, and puts it in again a little later.
async fn pull_and_plug(board: &TestBoard) {
    board.virtual_board().unplug();
    sleep(Duration::from_secs(3)).await;
    board.virtual_board().plug();
    on_the_bus(board.virtual_board(), true).await;
}

#[tokio::test(start_paused = true)]
async fn a_board_that_is_gone_fails_the_lease() {
    // Longer than the state waits.
    let patient = bench().config(|config| config.board.grace = Duration::from_secs(120));
    let board = patient.plug().unwrap().reserve_kind(KIND, json!({})).await.unwrap();
    evaluate(&board, "b", &[("1", &circuit("pulses_1000.bin"))]).await.unwrap();
    sleep(COUNTING).await;
    board.virtual_board().unplug();
    let failed = result(&board).await;
    assert!(matches!(failed.outcome, Outcome::Failed { .. }));
    assert_eq!(code(&failed).0, "board_lost");
    assert_eq!(
        board.failure().await.unwrap(),
        "the board does not work any more: it was not back on the bus after 60 s"
    );
}

#[tokio::test(start_paused = true)]
async fn a_board_that_hangs_fails_the_lease() {
    let board = reserved().await;
    evaluate(&board, "b", &[("1", &circuit("pulses_1000.bin"))]).await.unwrap();
    sleep(COUNTING).await;
    board.virtual_board().hang();
    let failed = result(&board).await;
    assert_eq!(code(&failed).0, "board_no_answer");
    let failure = board.failure().await.unwrap();
    assert!(failure.contains("it did not restart"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_reboot_runs_the_interrupted_circuit_again_and_keeps_the_queue() {
    let board = reserved().await;
    let (one, other) = (circuit("pulses_1000.bin"), circuit("pulses_12345.bin"));
    evaluate(&board, "b", &[("1", &one), ("2", &other)]).await.unwrap();
    sleep(COUNTING).await;
    board.reboot().await.unwrap();
    let first = result(&board).await;
    assert_eq!((first.id.as_str(), pulses(&first), first.provenance.attempt), ("1", 1000, 2));
    let second = result(&board).await;
    assert_eq!((second.id.as_str(), pulses(&second), second.provenance.attempt), ("2", 12_345, 1));
    board.silence(Duration::from_secs(60)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reboot_waits_for_a_board_that_is_away() {
    let board = reserved().await;
    evaluate(&board, "b", &[("1", &circuit("pulses_1000.bin"))]).await.unwrap();
    sleep(COUNTING).await;
    board.virtual_board().unplug();
    let plug = async {
        sleep(Duration::from_secs(5)).await;
        board.virtual_board().plug();
    };
    let (rebooted, ()) = tokio::join!(board.reboot(), plug);
    rebooted.unwrap();
    assert_eq!(pulses(&result(&board).await), 1000);
}

#[tokio::test(start_paused = true)]
async fn a_reboot_that_does_not_help_is_an_error() {
    let board = reserved().await;
    board.virtual_board().hang();
    let error = board.reboot().await.unwrap_err();
    assert!(error.to_string().contains("it did not restart"), "{error}");
}

/// A lease ends while the board counts. The answer that the board was about to write is not for
/// the next lease's circuit.
#[tokio::test(start_paused = true)]
async fn the_answer_to_an_earlier_lease_is_not_taken() {
    let (earlier, later) = (circuit("pulses_12345.bin"), circuit("pulses_1000.bin"));
    for pause in [0, 50, 900, 1200, 1230, 1300] {
        let bench = bench().plug().unwrap();
        let board = bench.reserve_kind(KIND, json!({})).await.unwrap();
        evaluate(&board, "b", &[("1", &earlier)]).await.unwrap();
        sleep(Duration::from_millis(pause)).await;
        board.end().await.unwrap();

        let board = bench.reserve_kind(KIND, json!({})).await.unwrap();
        evaluate(&board, "b", &[("2", &later)]).await.unwrap();
        assert_eq!(pulses(&result(&board).await), 1000, "{pause} ms into the first lease");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_lease_pushes_what_is_there() {
    let board = reserved().await;
    evaluate(&board, "b", &[("1", &vec![1].into())]).await.unwrap();
    board.end().await.unwrap();
    assert_eq!(code(&result(&board).await).0, "wrong_length");
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
    let board = reserved().await;
    let (one, other) = (circuit("pulses_1000.bin"), circuit("pulses_12345.bin"));
    let ids: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    for (n, id) in ids.iter().enumerate() {
        let circuit = if n % 2 == 0 { &one } else { &other };
        evaluate(&board, "b", &[(id, circuit)]).await.unwrap();
    }
    for (fault, when) in faults {
        sleep(Duration::from_millis(when)).await;
        match fault {
            0 => board.virtual_board().stall(),
            1 => board.virtual_board().garbage(),
            2 => pull_and_plug(&board).await,
            _ => board.reboot().await.unwrap(),
        }
    }
    let mut open: BTreeSet<_> = ids.into_iter().collect();
    while !open.is_empty() {
        for evaluated in results(&board).await.outcomes {
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
    board.silence(Duration::from_secs(60)).await.unwrap();
    board.end().await.unwrap();
}
