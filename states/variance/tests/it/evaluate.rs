//! Circuits in, outcomes out.

use crate::bench::{
    FITNESS_1000, circuit, code, evaluate, pulses_1000, reading, reserved, result, results, value,
};
use icefarm_core::Blob;
use icefarm_core::evaluation::Outcome;
use icefarm_state_variance::{BITSTREAM_BYTES, fitness};
use icefarm_testkit::{TestBench, TestBoard};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_pin_is_sampled_as_it_moves() {
    let args = json!({"send_waveform": true});
    let board = TestBoard::reserve_kind("variance", args).await.unwrap();
    evaluate(&board, "b", &[("1", &circuit("pulses_1000.bin"))]).await.unwrap();
    let first = results(&board).await.unwrap();
    assert_eq!(first.batch_id, "b");
    assert_eq!(reading(&first.outcomes[0]).fitness, FITNESS_1000);
    assert_eq!(reading(&first.outcomes[0]).waveform.as_ref(), Some(&pulses_1000()));
    assert_eq!(first.results, json!([["1", [FITNESS_1000, pulses_1000()]]]));

    // Its pulses, one cycle long, fall between the samples, but for very few.
    evaluate(&board, "b", &[("2", &circuit("pulses_12345.bin"))]).await.unwrap();
    let second = result(&board).await;
    let waveform = reading(&second).waveform.clone().unwrap();
    assert_eq!(waveform.len(), 500);
    assert!(waveform.iter().all(|sample| [0, 4095].contains(sample)));
    assert_eq!(reading(&second).fitness, fitness(&waveform));

    // A register that looks random is high about half of the time.
    evaluate(&board, "b", &[("3", &circuit("lfsr.bin"))]).await.unwrap();
    let third = result(&board).await;
    let high = reading(&third).waveform.iter().flatten().filter(|sample| **sample > 0).count();
    assert!((150..350).contains(&high), "{high}");
    board.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_waveform_is_sent_to_nobody_who_has_not_asked() {
    let board = reserved().await;
    evaluate(&board, "b", &[("1", &circuit("pulses_1000.bin"))]).await.unwrap();
    let results = results(&board).await.unwrap();
    assert_eq!(results.results, json!([["1", FITNESS_1000]]));
    assert_eq!(reading(&results.outcomes[0]).waveform, None);
    board.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_outcome_says_where_it_comes_from() {
    let board = reserved().await;
    let circuit = circuit("pulses_1000.bin");
    let begun = Instant::now();
    evaluate(&board, "b", &[("1", &circuit)]).await.unwrap();
    let first = result(&board).await.provenance;
    // As on a real board: 0.24 s for the circuit, 0.1 s until it is at rest, 0.05 s of samples.
    assert!((380..400).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    assert_eq!(first.kind.as_str(), "variance");
    assert_eq!(first.state_version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(first.window_us, Some(50_000));
    assert_eq!((first.simulated, first.falsified), (Some(true), None));
    assert_eq!(first.image_sha256.unwrap().len(), 64);
    assert_eq!(board.image().as_deref(), Some("variance"));
    board.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_measured_is_refused_and_harms_nothing() {
    let board = reserved().await;
    let sound = circuit("pulses_1000.bin");
    let nonsense = Blob::from(vec![0x55; BITSTREAM_BYTES]);
    let ring = circuit("ring_oscillator.bin");
    let short = Blob::from(vec![0; 7]);
    for (circuit, expected) in
        [(&short, "wrong_length"), (&nonsense, "no_preamble"), (&ring, "combinational_loop")]
    {
        evaluate(&board, "b", &[("odd", circuit)]).await.unwrap();
        let results = results(&board).await.unwrap();
        assert_eq!(results.results, json!([["odd", null]]));
        let refused = &results.outcomes[0];
        assert!(matches!(refused.outcome, Outcome::Refused { .. }), "{refused:?}");
        assert_eq!(code(refused).0, expected);
        evaluate(&board, "b", &[("sound", &sound)]).await.unwrap();
        assert_eq!(reading(&result(&board).await).fitness, FITNESS_1000);
    }
    board.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn repeated_commands_give_one_outcome_each() {
    let board = reserved().await;
    let circuit = circuit("pulses_1000.bin");
    evaluate(&board, "x", &[("1", &circuit), ("2", &circuit)]).await.unwrap();
    evaluate(&board, "y", &[("2", &circuit), ("3", &circuit)]).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let results = results(&board).await.unwrap();
        assert_eq!(results.outcomes.len(), 1);
        seen.push((results.batch_id, results.outcomes[0].id.to_string()));
    }
    let expected = [("x", "1"), ("x", "2"), ("y", "3")].map(|(b, i)| (b.to_owned(), i.to_owned()));
    assert_eq!(seen, expected);
    board.silence(Duration::from_secs(60)).await.unwrap();
    board.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn readings_wait_for_no_timer_while_few_circuits_wait() {
    let args = json!({"flush_interval_seconds": 3600, "flush_at_bitstreams_remaining": 2});
    let board = TestBoard::reserve_kind("variance", args).await.unwrap();
    let circuit = circuit("pulses_1000.bin");
    let ids: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    let all: Vec<_> = ids.iter().map(|id| (id.as_str(), &circuit)).collect();
    evaluate(&board, "b", &all).await.unwrap();
    // When the sixth is begun two wait: the five before it are told at once.
    assert_eq!(results(&board).await.unwrap().outcomes.len(), 5);
    for _ in 5..8 {
        assert_eq!(results(&board).await.unwrap().outcomes.len(), 1);
    }
    board.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn odd_arguments_are_refused_by_name() {
    let bench = TestBench::builder().plug().unwrap();
    for (args, expected) in [
        (json!({"send_waveform": 1}), "`send_waveform`"),
        (json!({"send_wave": true}), "`send_wave` is not known"),
        (json!({"flush_interval_seconds": 0}), "`flush_interval_seconds` must be more than 0"),
    ] {
        let refused = bench.reserve_kind("variance", value(args)).await.unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_circuit_runs_again_under_its_id() {
    let board = reserved().await;
    evaluate(&board, "b", &[("1", &circuit("pulses_1000.bin"))]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    board.reboot().await.unwrap();
    let evaluated = result(&board).await;
    assert_eq!(evaluated.provenance.attempt, 2);
    assert_eq!(reading(&evaluated).fitness, FITNESS_1000);
    board.end().await.unwrap();
}
