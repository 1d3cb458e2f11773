use crate::states::{NoImage, Tester};
use futures::{StreamExt, TryStreamExt};
use icefarm_core::wire::ErrorCode;
use icefarm_testkit::{TestBench, TestBoard, TestError, json};
use std::error::Error;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_state_talks_to_its_firmware() -> Result<(), Box<dyn Error + Send + Sync>> {
    let board = TestBoard::reserve::<Tester>(json!({})).await?;
    assert_eq!(board.image().as_deref(), Some("tester"));
    assert_eq!(board.command("ask", json!({"data": "Hello!"})).await?, "hello!");
    assert_eq!(board.event("results").await?["data"], "hello!");
    let bench = board.end().await?;
    bench.available().await?;
    assert_eq!(bench.virtual_board().image().unwrap().name.as_str(), "default");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_misspelt_is_named() -> Result<(), TestError> {
    let error = TestBoard::reserve::<Tester>(json!({"exot": "x"})).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "argument `exot` is not known; known arguments: exit (bad_arguments)"
    );
    let error = TestBoard::reserve_kind("testr", json!({})).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownKind));
    let board = TestBoard::reserve::<Tester>(()).await?;
    let error = board.command("ask", json!({"dta": "x"})).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "argument `dta` is not known; known arguments: data (bad_arguments)"
    );
    let error = board.command("aks", ()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownCommand));
    let error = board.command("ask", "Hello!").await.unwrap_err();
    assert!(error.to_string().contains("must be an object"), "{error}");
    board.end().await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn what_did_come_is_told_when_something_does_not() -> Result<(), TestError> {
    let board = TestBoard::reserve::<Tester>(()).await?;
    board.command("ask", json!({"data": "A"})).await?;
    let begun = Instant::now();
    let error = board.event("result").await.unwrap_err().to_string();
    assert_eq!(begun.elapsed(), Duration::from_secs(600));
    assert!(error.starts_with("the event `result` did not come within 600 s; "), "{error}");
    assert!(error.contains("\n  results {\"data\": \"a\"} at "), "{error}");
    assert!(error.contains("(taken)"), "`initialized` is: {error}");
    // It is still there.
    assert_eq!(board.event("results").await?["data"], "a");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn events_come_as_a_stream_too() -> Result<(), TestError> {
    let board = TestBoard::reserve::<Tester>(()).await?;
    for seconds in [3, 1, 2] {
        board.command("later", json!({"seconds": seconds})).await?;
    }
    board.silence(Duration::from_millis(900)).await?;
    let events: Vec<_> = board.events().take(2).try_collect().await?;
    assert_eq!(events[0]["seconds"], 1);
    assert!(events[1].at() - events[0].at() >= Duration::from_millis(999));
    assert!(matches!(
        board.silence(Duration::from_secs(60)).await,
        Err(TestError::NotSilent { .. })
    ));
    board.command("panic", ()).await.unwrap_err();
    let rest: Vec<_> = board.events().try_collect().await?;
    assert_eq!(rest.iter().map(|event| event.name()).collect::<Vec<_>>(), ["failure"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn deadlines_pass_in_paused_time() -> Result<(), TestError> {
    let bench =
        TestBench::builder().config(|config| config.lease.hook = Duration::from_secs(7)).plug()?;
    let board = bench.reserve::<Tester>(()).await?;
    let begun = Instant::now();
    let error = board.command("hang", ()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::CommandFailed));
    assert_eq!(begun.elapsed(), Duration::from_secs(7));
    assert_eq!(board.failure().await?, "`hang` of the state `tester`: it took longer than 7 s");
    board.end().await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_nobody_asked_for_is_an_error() -> Result<(), TestError> {
    let board = TestBoard::reserve::<Tester>(()).await?;
    board.command("panic", ()).await.unwrap_err();
    let error = board.event("results").await.unwrap_err();
    assert!(matches!(error, TestError::LeaseFailed { .. }));
    let error = board.end().await.unwrap_err().to_string();
    let expected =
        "the lease failed: `panic` of the state `tester`: it panicked: as the test wants it; ";
    assert!(error.starts_with(expected), "{error}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_exit_must_end() -> Result<(), TestError> {
    for (exit, expected) in [
        ("panic", "`exit` of the state `tester`: it panicked: as the test wants it"),
        ("hang", "`exit` of the state `tester`: it took longer than 10 s"),
    ] {
        let board = TestBoard::reserve::<Tester>(json!({"exit": exit})).await?;
        let error = board.end().await.unwrap_err();
        assert_eq!(error.to_string(), format!("the state ended badly: {expected}"));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_board_can_be_pulled_and_rebooted() -> Result<(), TestError> {
    let board = TestBoard::reserve::<Tester>(()).await?;
    board.replug().await?;
    board.event("removed").await?;
    assert_eq!(board.event("added").await?["face"], "application");
    board.command("ask", json!({"data": "A"})).await?;

    board.virtual_board().stall();
    board.reboot().await?;
    board.event("rebooted").await?;
    board.command("ask", json!({"data": "B"})).await?;

    board.virtual_board().unplug();
    let reason = board.failure().await?;
    assert_eq!(reason, "the board left the bus and did not come back within 10 s");
    let bench = board.end().await?;
    let error = bench.reserve::<Tester>(()).await.unwrap_err();
    assert!(matches!(error, TestError::NotAvailable { .. }), "{error}");
    bench.virtual_board().plug();
    bench.reserve::<Tester>(()).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn leases_on_one_board_follow_each_other() -> Result<(), TestError> {
    let bench = TestBench::builder().serial("E4").name("left").client("me").plug()?;
    for (lease, loaded) in [(1, 0), (2, 1)] {
        let board = bench.reserve_kind("tester", ()).await?;
        assert_eq!((board.lease().0, board.serial().as_str()), (lease, "E4"));
        assert_eq!(board.command("load", ()).await?, loaded);
        board.end().await?;
    }
    let error = bench.reserve::<NoImage>(()).await.unwrap_err().to_string();
    assert!(error.contains("no firmware image `what is this` is known"), "{error}");
    // The board is none the worse for it.
    bench.reserve::<Tester>(()).await?.end().await.map(drop)
}
