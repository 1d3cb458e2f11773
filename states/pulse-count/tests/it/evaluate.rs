//! Circuits in, outcomes out.

use crate::bench::{
    bench, circuit, code, evaluate, nonsense, pulses, reserve, reserved, result, results, shared,
};
use icefarm_core::evaluation::Outcome;
use icefarm_core::wire::ErrorCode;
use icefarm_core::{Blob, WorkerName};
use icefarm_state_pulse_count::KIND;
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn the_bundled_circuits_are_counted() {
    let board = reserved().await;
    for (name, expected) in [("pulses_1000.bin", 1000), ("pulses_12345.bin", 12_345)] {
        evaluate(&board, "b", &[("1", &circuit(name))]).await.unwrap();
        let results = results(&board).await;
        assert_eq!(results.batch, "b");
        assert_eq!(results.pairs, json!([["1", expected.to_string()]]));
        assert_eq!(pulses(&results.outcomes[0]), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_count_says_by_how_much_it_may_be_off() {
    let board = reserved().await;
    let pll = Blob::from(include_bytes!("../circuits/pll.bin").to_vec());
    evaluate(&board, "b", &[("1", &pll)]).await.unwrap();
    let results = results(&board).await;
    assert_eq!(results.pairs, json!([["1", "30000"]]), "old clients read a plain figure");
    let reading = results.outcomes[0].outcome.reading().unwrap();
    assert_eq!((reading.pulses, reading.uncertainty), (30_000, Some(1)));

    evaluate(&board, "b", &[("2", &circuit("pulses_1000.bin"))]).await.unwrap();
    let exact = result(&board).await;
    assert_eq!(exact.outcome.reading().unwrap().uncertainty, None);
}

#[tokio::test(start_paused = true)]
async fn the_circuits_of_the_python_farm_are_counted() {
    let board = reserved().await;
    for (khz, expected) in [(2, 2000), (8, 8000), (32, 32_000)] {
        let Some(circuit) = shared(&format!("circuit_generated_{khz}Khz.bin")) else { return };
        evaluate(&board, "b", &[("1", &circuit)]).await.unwrap();
        assert_eq!(pulses(&result(&board).await), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_outcome_says_where_it_comes_from() {
    let board = reserved().await;
    let circuit = circuit("pulses_1000.bin");
    let begun = Instant::now();
    evaluate(&board, "b", &[("1", &circuit)]).await.unwrap();
    let first = result(&board).await.provenance;
    // 1.24 s as on a real board, and nothing beside it.
    assert!((1200..1300).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    evaluate(&board, "b", &[("2", &circuit)]).await.unwrap();
    let second = result(&board).await.provenance;

    assert_eq!(first.sha256.len(), 64);
    assert_eq!(first.serial.unwrap().as_str(), "example pico2ice serial id");
    assert_eq!(first.board.as_deref(), Some("the left one"));
    assert_eq!(first.worker, Some(WorkerName::new("bench").unwrap()));
    assert_eq!(first.kind.as_str(), "pulsecount");
    assert_eq!(first.state_version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(first.image_sha256.unwrap().len(), 64);
    assert_eq!(first.lease, Some(board.lease()));
    assert_eq!(first.attempt, 1);
    assert_eq!((first.sequence, second.sequence), (Some(0), Some(1)));
    assert_eq!((first.previous_sha256, second.previous_sha256), (None, Some(first.sha256)));
    let measuring = first.ended.unwrap().since(first.started.unwrap());
    assert!((1200..1300).contains(&measuring.as_millis()), "{measuring:?}");
    assert_eq!(first.window_us, Some(1_000_000));
    assert_eq!(first.simulated, Some(true));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_measured_is_refused_and_harms_nothing() {
    let board = reserved().await;
    let sound = circuit("pulses_1000.bin");
    let short = Blob::from(vec![0; 7]);
    let ring = circuit("ring_oscillator.bin");
    evaluate(&board, "b", &[("short", &short)]).await.unwrap();
    let results = results(&board).await;
    assert_eq!(results.pairs, json!([["short", null]]));
    let refused = &results.outcomes[0];
    assert_eq!(
        code(refused),
        (
            "wrong_length",
            "the circuit has 7 bytes, the board takes exactly 104090: send the uncompressed .bin \
             file that icepack writes for the iCE40UP5K"
        )
    );
    assert!(matches!(refused.outcome, Outcome::Refused { .. }));
    assert_eq!((refused.provenance.sequence, refused.provenance.started), (None, None));

    for (circuit, expected) in [(&nonsense(), "no_preamble"), (&ring, "combinational_loop")] {
        evaluate(&board, "b", &[("odd", circuit)]).await.unwrap();
        let refused = result(&board).await;
        assert!(matches!(refused.outcome, Outcome::Refused { .. }), "{refused:?}");
        assert_eq!(code(&refused).0, expected);
        assert_eq!((refused.provenance.attempt, refused.provenance.window_us), (1, None));
        evaluate(&board, "b", &[("sound", &sound)]).await.unwrap();
        assert_eq!(pulses(&result(&board).await), 1000);
    }
}

#[tokio::test(start_paused = true)]
async fn repeated_commands_give_one_outcome_each() {
    let board = reserved().await;
    let (one, other) = (circuit("pulses_1000.bin"), circuit("pulses_12345.bin"));
    let short = Blob::from(vec![1]);
    evaluate(&board, "x", &[("1", &one), ("2", &other)]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    evaluate(&board, "y", &[("1", &one), ("2", &other), ("3", &short)]).await.unwrap();
    evaluate(&board, "y", &[("2", &short)]).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let results = results(&board).await;
        assert_eq!(results.outcomes.len(), 1);
        seen.push((results.batch, results.outcomes[0].id.to_string()));
    }
    let expected = [("y", "3"), ("x", "1"), ("x", "2")].map(|(b, i)| (b.to_owned(), i.to_owned()));
    assert_eq!(seen, expected);
    board.silence(Duration::from_secs(60)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_long_queue_is_flushed_by_the_clock_and_a_short_one_at_once() {
    let args = json!({"flush_interval_seconds": 5, "flush_at_bitstreams_remaining": 2});
    let board = reserve(args).await;
    let circuit = circuit("pulses_1000.bin");
    let ids: Vec<String> = (0..10).map(|n| format!("{n:02}")).collect();
    let begun = Instant::now();
    for (n, id) in ids.iter().enumerate() {
        let batch = if n < 3 { "first" } else { "second" };
        evaluate(&board, batch, &[(id, &circuit)]).await.unwrap();
    }
    // The first outcome is there after 1.24 s, and 5 s later it is pushed with what is there.
    let first = results(&board).await;
    assert_eq!((first.batch.as_str(), first.outcomes.len()), ("first", 3));
    let second = results(&board).await;
    assert_eq!((second.batch.as_str(), second.outcomes.len()), ("second", 2));
    assert!((6200..6300).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    // When the seventh is done three wait, when it is the eighth's turn only two do.
    assert_eq!(results(&board).await.outcomes.len(), 2);
    for _ in 7..10 {
        assert_eq!(results(&board).await.outcomes.len(), 1);
    }
    board.silence(Duration::from_secs(60)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_says_so_and_takes_nothing_of_the_command() {
    let board = reserved().await;
    let circuit = circuit("pulses_1000.bin");
    let ids: Vec<String> = (0..1024).map(|n| n.to_string()).collect();
    let all: Vec<_> = ids.iter().map(|id| (id.as_str(), &circuit)).collect();
    evaluate(&board, "b", &all).await.unwrap();
    let error = evaluate(&board, "b", &[("x", &circuit)]).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Overloaded));
    assert_eq!(pulses(&results(&board).await.outcomes[0]), 1000);
    evaluate(&board, "b", &[("x", &circuit)]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn odd_arguments_are_refused() {
    for (args, expected) in [
        (
            json!({"flush_interval_seconds": 0}),
            "`flush_interval_seconds` must be more than 0 and at most 3600, not 0; leave it out \
             for 10",
        ),
        (
            json!({"flush_at_bitstreams_remaining": -3}),
            "`flush_at_bitstreams_remaining` must be from 1 to 1000000, not -3; leave it out for 25",
        ),
        (json!({"flush_interval": 3}), "`flush_interval` is not known"),
    ] {
        let bench = bench().plug().unwrap();
        let refused = bench.reserve_kind(KIND, args).await.unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
        assert_eq!(bench.virtual_board().image().unwrap().name.as_str(), "default");
    }
    reserve(json!({"flush_interval_seconds": 2.5})).await;
}

#[tokio::test(start_paused = true)]
async fn a_board_that_is_slow_at_simulating_is_not_given_up() {
    let slow = bench().bus(|bus| bus.speed(0.1)).plug().unwrap();
    let board = slow.reserve_kind(KIND, json!({})).await.unwrap();
    let begun = Instant::now();
    evaluate(&board, "b", &[("1", &circuit("pulses_1000.bin"))]).await.unwrap();
    let evaluated = result(&board).await;
    assert_eq!((pulses(&evaluated), evaluated.provenance.attempt), (1000, 1));
    assert!(begun.elapsed() > Duration::from_secs(12));
}
