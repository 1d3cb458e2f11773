//! What a plan of faults does to a board is healed by the worker's supervisor and the state, or ends
//! in a reason; a lease is never stuck and a reading never wrong without saying so.

use crate::bench::{
    FITNESS_1000, circuit, code, evaluate, faulty, pulses_1000, reading, result, results,
};
use icefarm_core::ImageName;
use icefarm_core::evaluation::Outcome;
use icefarm_core::wire::BoardStatus;
use icefarm_sim::{Effect, Fault, Trigger};
use icefarm_testkit::{TestBench, TestError, json};
use std::collections::BTreeSet;
use std::time::Duration;

const HALF: Duration = Duration::from_millis(50);

fn variance() -> ImageName {
    ImageName::new("variance").unwrap()
}

fn pulled(seconds: u64) -> Effect {
    Effect::Unplug { lasts: Some(Duration::from_secs(seconds)) }
}

/// Waits until the worker is at an end with the board: how it stands, and why.
async fn settled(bench: &TestBench) -> (BoardStatus, String) {
    // Longer than the recovery ladder and its pauses.
    tokio::time::sleep(Duration::from_secs(1200)).await;
    let report = bench.report().unwrap();
    assert!(report.lease.is_none(), "a lease is stuck: {report:?}");
    (report.status, report.reason.unwrap_or_default())
}

/// Every step at which a firmware under a lease can be harmed, once.
fn steps() -> Vec<(Trigger, Duration)> {
    vec![
        (Trigger::Transfer { bytes: 1 }, Duration::ZERO),
        (Trigger::Transfer { bytes: 50_000 }, Duration::ZERO),
        (Trigger::Transfer { bytes: 104_090 }, Duration::ZERO),
        (Trigger::Circuit, Duration::ZERO),
        (Trigger::Circuit, HALF),
        (Trigger::Answer, Duration::ZERO),
    ]
}

#[tokio::test(start_paused = true)]
async fn what_happens_once_during_a_circuit_is_healed_and_the_circuit_is_read() {
    let effects = [pulled(3), Effect::Stall, Effect::GARBAGE];
    for (trigger, delay) in steps() {
        for effect in effects {
            let bench = faulty([Fault::new(effect, trigger).times(1).delay(delay)]);
            let board = bench.reserve_kind("variance", json!({})).await.unwrap();
            evaluate(&board, "b", &[("1", &circuit("pulses_1000.bin"))]).await.unwrap();
            let evaluated = result(&board).await;
            let what = format!("{effect} at {trigger} {delay:?}");
            assert_eq!(reading(&evaluated).fitness, FITNESS_1000, "{what}");
            assert_eq!(evaluated.provenance.falsified, None);
            board.end().await.unwrap();
            assert_eq!(settled(&bench).await.0, BoardStatus::Available, "{what}");
        }
    }
}

/// A firmware that hangs cannot be restarted, so the lease ends; cutting the power heals the board.
#[tokio::test(start_paused = true)]
async fn a_hang_ends_the_lease_with_its_cause_and_the_board_is_healed() {
    for (trigger, delay) in steps() {
        let bench = faulty([Fault::new(Effect::Hang, trigger).times(1).delay(delay)]);
        let board = bench.reserve_kind("variance", json!({})).await.unwrap();
        evaluate(&board, "b", &[("1", &circuit("pulses_1000.bin"))]).await.unwrap();
        let failed = result(&board).await;
        assert_eq!(code(&failed).0, "board_no_answer", "{trigger}");
        let reason = board.failure().await.unwrap();
        assert!(reason.contains("because of fault 1 (hang)"), "{trigger}: {reason}");
        board.end().await.unwrap();
        assert_eq!(settled(&bench).await.0, BoardStatus::Available, "{trigger}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_board_that_is_pulled_for_too_long_ends_the_lease_and_is_offline_until_it_is_back() {
    let away = Fault::new(pulled(3600), Trigger::Circuit).times(1);
    let bench = faulty([away]);
    let board = bench.reserve_kind("variance", json!({})).await.unwrap();
    evaluate(&board, "b", &[("1", &circuit("pulses_1000.bin"))]).await.unwrap();
    let reason = board.failure().await.unwrap();
    assert!(reason.contains("left the bus and did not come back within 10 s"), "{reason}");
    board.end().await.unwrap();
    let (status, reason) = settled(&bench).await;
    assert_eq!(status, BoardStatus::Offline);
    assert!(reason.contains("not on the bus"), "{reason}");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(settled(&bench).await.0, BoardStatus::Available);
}

/// Whatever happens to it once while it is flashed, started or tested, the board is there in the
/// end.
#[tokio::test(start_paused = true)]
async fn what_happens_once_before_a_lease_is_healed() {
    let moments = [
        Trigger::Power,
        Trigger::Bootloader,
        Trigger::Flash { percent: 0 },
        Trigger::Flash { percent: 50 },
        Trigger::Flash { percent: 100 },
        Trigger::Start,
    ];
    let mut faults: Vec<Fault> = moments
        .into_iter()
        .flat_map(|moment| [Fault::new(pulled(3), moment), Fault::new(Effect::Hang, moment)])
        .collect();
    faults.extend([
        Fault::refuse_image(),
        Fault::corrupt_image(),
        Fault::new(Effect::Stall, Trigger::Start),
        Fault::new(Effect::GARBAGE, Trigger::Start),
    ]);
    for fault in faults {
        for skipped in 0..2 {
            let what = format!("{} at {} after {skipped}", fault.effect(), fault.trigger());
            let bench = faulty([fault.clone().after(skipped).times(1)]);
            let (status, reason) = settled(&bench).await;
            assert_eq!(status, BoardStatus::Available, "{what}: {reason}");
            // A lease may meet the fault while it flashes its own image.
            match bench.reserve_kind("variance", json!({})).await {
                Ok(board) => drop(board.end().await.unwrap()),
                Err(TestError::LeaseFailed { .. }) => {}
                Err(error) => panic!("{what}: {error}"),
            }
            let (status, reason) = settled(&bench).await;
            assert_eq!(status, BoardStatus::Available, "{what}: {reason}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_happens_each_time_ends_as_broken_with_a_reason_that_tells_what() {
    for (fault, expected) in [
        (Fault::refuse_image(), "fault 1 (refuse-image)"),
        (Fault::corrupt_image(), "fault 1 (corrupt-image)"),
        (Fault::new(Effect::Hang, Trigger::Bootloader), "because of fault 1 (hang)"),
        (Fault::new(Effect::Hang, Trigger::Power), "because of fault 1 (hang)"),
        (Fault::new(Effect::Stall, Trigger::Start), "did not print its line `default firmware`"),
        (
            Fault::new(Effect::Garbage { bytes: usize::MAX / 2 }, Trigger::Start),
            "did not print its line `default firmware`",
        ),
        (
            Fault::new(Effect::SlowLink { bytes_per_second: 1, lasts: None }, Trigger::Start),
            "did not print its line `default firmware`",
        ),
    ] {
        let what = format!("{} at {}", fault.effect(), fault.trigger());
        // A board is plugged in with the default image: it is flashed once it was found unsound.
        let needs_flash = Fault::new(Effect::Stall, Trigger::Start).times(1);
        let bench = faulty([fault, needs_flash]);
        let (status, reason) = settled(&bench).await;
        assert_eq!(status, BoardStatus::Broken, "{what}");
        assert!(reason.contains(expected), "{what}: {reason}");
        let refused = bench.reserve_kind("variance", json!({})).await.unwrap_err();
        assert!(matches!(refused, TestError::NotAvailable { .. }), "{refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flash_that_is_dead_for_one_image_fails_the_lease_and_not_the_board() {
    for (fault, expected) in [
        (Fault::refuse_image(), "the flash does not take the image: fault 1 (refuse-image)"),
        (Fault::corrupt_image(), "reads back wrong: fault 1 (corrupt-image)"),
    ] {
        let bench = faulty([fault.firmware(variance())]);
        let error = bench.reserve_kind("variance", json!({})).await.unwrap_err();
        let TestError::LeaseFailed { reason, .. } = error else { panic!("{error}") };
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(settled(&bench).await.0, BoardStatus::Available);
    }
}

/// 104,090 bytes in at most 2 s is what the firmware waits for.
#[tokio::test(start_paused = true)]
async fn a_slow_link_fails_circuits_and_one_that_is_not_so_slow_only_takes_longer() {
    for (bytes_per_second, code_of_failure) in [(60_000, None), (40_000, Some("board_incomplete"))]
    {
        let slow = Effect::SlowLink { bytes_per_second, lasts: None };
        let bench = faulty([Fault::new(slow, Trigger::Start).firmware(variance())]);
        let board = bench.reserve_kind("variance", json!({})).await.unwrap();
        evaluate(&board, "b", &[("1", &circuit("pulses_1000.bin"))]).await.unwrap();
        let evaluated = result(&board).await;
        match code_of_failure {
            None => assert_eq!(reading(&evaluated).fitness, FITNESS_1000),
            Some(expected) => assert_eq!(code(&evaluated).0, expected),
        }
        board.end().await.unwrap();
        assert_eq!(settled(&bench).await.0, BoardStatus::Available);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_answer_is_marked_and_comes_from_no_other_fault() {
    let bench = faulty([Fault::wrong_answer(1).after(1).times(1)]);
    let board = bench.reserve_kind("variance", json!({"send_waveform": true})).await.unwrap();
    let circuit = circuit("pulses_1000.bin");
    for (id, wrong) in [("1", false), ("2", true), ("3", false)] {
        evaluate(&board, "b", &[(id, &circuit)]).await.unwrap();
        let evaluated = result(&board).await;
        let mark = wrong.then(|| "fault 1 (wrong-answer, off by 1)".to_owned());
        assert_eq!(evaluated.provenance.falsified, mark);
        let mut expected = pulses_1000();
        if wrong {
            expected[0] = 0;
        }
        assert_eq!(reading(&evaluated).waveform.as_ref(), Some(&expected));
    }
    board.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_board_that_comes_and_goes_reads_what_it_can_and_is_never_stuck() {
    let times =
        Trigger::Time { first: Duration::from_secs(7), every: Some(Duration::from_secs(7)) };
    let bench = faulty([Fault::new(pulled(2), times).times(40)]);
    let board = bench.reserve_kind("variance", json!({})).await.unwrap();
    let circuit = circuit("pulses_1000.bin");
    let ids: Vec<String> = (0..60).map(|n| n.to_string()).collect();
    let all: Vec<_> = ids.iter().map(|id| (id.as_str(), &circuit)).collect();
    evaluate(&board, "b", &all).await.unwrap();
    let mut open: BTreeSet<_> = ids.iter().cloned().collect();
    let mut read = 0;
    while !open.is_empty() {
        for evaluated in results(&board).await.unwrap().outcomes {
            assert!(open.remove(evaluated.id.as_str()), "a second outcome: {evaluated:?}");
            match evaluated.outcome {
                Outcome::Reading { reading } => {
                    assert_eq!(reading.fitness, FITNESS_1000);
                    read += 1;
                }
                Outcome::Failed { .. } => {}
                Outcome::Refused { .. } => panic!("{evaluated:?}"),
            }
        }
    }
    assert!(read > 40, "{read} of 60");
    board.end().await.unwrap();
    assert_eq!(settled(&bench).await.0, BoardStatus::Available);
}

/// Many faults by chance, from seed to seed: one true outcome each, or an end with a reason.
#[test]
fn whatever_happens_there_is_one_true_outcome_each() {
    use proptest::prelude::*;
    let effect = prop_oneof![
        Just(pulled(2)),
        Just(Effect::Hang),
        Just(Effect::Stall),
        Just(Effect::GARBAGE),
    ];
    let trigger = prop_oneof![
        Just(Trigger::Transfer { bytes: 30_000 }),
        Just(Trigger::Circuit),
        Just(Trigger::Answer),
        Just(Trigger::Start),
    ];
    let fault =
        (effect, trigger, 0..200u64, 0.01..0.3f64).prop_map(|(effect, trigger, delay, chance)| {
            Fault::new(effect, trigger).delay(Duration::from_millis(delay)).chance(chance)
        });
    let config = ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() };
    proptest!(config, |(faults in proptest::collection::vec(fault, 1..4))| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        runtime.block_on(survive(faults));
    });
}

async fn survive(faults: Vec<Fault>) {
    let bench = faulty(faults);
    let board = match bench.reserve_kind("variance", json!({})).await {
        Ok(board) => board,
        Err(TestError::LeaseFailed { reason, .. }) => return assert!(!reason.is_empty()),
        Err(TestError::NotAvailable { reason, .. }) => return assert!(reason.is_some()),
        Err(error) => panic!("{error}"),
    };
    let circuit = circuit("pulses_1000.bin");
    let ids: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    let all: Vec<_> = ids.iter().map(|id| (id.as_str(), &circuit)).collect();
    evaluate(&board, "b", &all).await.unwrap();
    let mut open: BTreeSet<_> = ids.iter().cloned().collect();
    while !open.is_empty() {
        match results(&board).await {
            Ok(results) => {
                for evaluated in results.outcomes {
                    assert!(open.remove(evaluated.id.as_str()), "a second one: {evaluated:?}");
                    if let Some(reading) = evaluated.outcome.reading() {
                        assert_eq!(reading.fitness, FITNESS_1000);
                    }
                }
            }
            Err(TestError::LeaseFailed { reason, .. }) => {
                assert!(!reason.is_empty());
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    drop(board.end().await);
    let report = bench.report().unwrap();
    assert!(report.lease.is_none(), "{report:?}");
}
