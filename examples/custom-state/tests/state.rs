//! The state at work on a virtual board, in time that is paused.

use custom_state::{ExampleState, IMAGE};
use icefarm_testkit::{TestBoard, TestError, json};

#[tokio::test(start_paused = true)]
async fn the_firmware_answers_in_lower_case() -> Result<(), TestError> {
    let board = TestBoard::reserve::<ExampleState>(json!({"message": "hi"})).await?;
    assert_eq!(board.image().as_deref(), Some(IMAGE));
    board.command("getdata", json!({"data": "Hello!"})).await?;
    assert_eq!(board.event("results").await?["data"], "hello!");
    board.end().await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_refused() -> Result<(), TestError> {
    let refused = TestBoard::reserve::<ExampleState>(json!({"mesage": "hi"})).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "argument `mesage` is not known; known arguments: message (bad_arguments)"
    );
    let board = TestBoard::reserve::<ExampleState>(json!({"message": "hi"})).await?;
    let refused = board.command("getdata", json!({"data": "two\nlines"})).await.unwrap_err();
    assert_eq!(refused.to_string(), "`data` must be one line (command_failed)");
    board.end().await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_board_that_was_pulled_or_rebooted_goes_on() -> Result<(), TestError> {
    let board = TestBoard::reserve::<ExampleState>(json!({"message": "hi"})).await?;
    board.replug().await?;
    board.command("getdata", json!({"data": "A"})).await?;
    board.reboot().await?;
    board.command("getdata", json!({"data": "B"})).await?;
    assert_eq!(board.event("results").await?["data"], "a");
    assert_eq!(board.event("results").await?["data"], "b");
    board.end().await?;
    Ok(())
}
