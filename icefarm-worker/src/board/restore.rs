//! From any condition back to the default firmware, tested.

use super::dance;
use super::ladder::{Rung, ladder};
use crate::BoardConfig;
use crate::metrics::Climbed;
use icefarm_core::wire::BoardStatus;
use icefarm_core::{Board, BoardError, Face, ImageInfo};
use std::error::Error;

/// What came of taking a board back.
#[derive(Debug)]
pub(crate) enum Restored {
    /// It runs the default firmware and was tested.
    Ready(ImageInfo),
    /// It is not on the bus.
    Gone,
    /// Everything was tried; the reason is that of the last attempt.
    Broken(String),
}

/// Brings the board to its default firmware and tests it. Where it fails, the recovery ladder is
/// climbed. `running` is the image that the board is known to hold; `tell` hears of each step,
/// `climbed` of what came of each rung.
pub(crate) async fn restore(
    board: &dyn Board,
    running: Option<ImageInfo>,
    config: &BoardConfig,
    tell: impl Fn(BoardStatus, Option<String>),
    climbed: impl Fn(Rung, Climbed),
) -> Restored {
    tell(BoardStatus::AwaitFlashDefault, None);
    let mut failure = match attempt(board, running, config, &tell).await {
        Ok(info) => return Restored::Ready(info),
        Err(error) => explain(&error),
    };
    for rung in ladder(config.recovery_rounds, config.recovery_pause) {
        if let Rung::Pause(pause) = rung {
            if board.presence().borrow().face.is_none() {
                return Restored::Gone;
            }
            let reason = format!("recovering, next try in {} s: {failure}", pause.as_secs());
            tell(BoardStatus::AwaitFlashDefault, Some(reason));
            tokio::time::sleep(pause).await;
            continue;
        }
        tracing::warn!(serial = %board.serial(), "recovering, next is {rung:?}: {failure}");
        tell(BoardStatus::AwaitFlashDefault, Some(format!("recovering: {failure}")));
        match climb(rung, board, config, &tell).await {
            Ok(info) => {
                climbed(rung, Climbed::Helped);
                return Restored::Ready(info);
            }
            // A bus that cannot switch power is no reason to call a board broken.
            Err(BoardError::Unsupported { .. }) => climbed(rung, Climbed::Unsupported),
            Err(error) => {
                climbed(rung, Climbed::InVain);
                failure = explain(&error);
            }
        }
    }
    if board.presence().borrow().face.is_none() {
        return Restored::Gone;
    }
    Restored::Broken(failure)
}

async fn climb(
    rung: Rung,
    board: &dyn Board,
    config: &BoardConfig,
    tell: &impl Fn(BoardStatus, Option<String>),
) -> Result<ImageInfo, BoardError> {
    match rung {
        // Whatever runs after a restart is not known to be the default image: its face and line
        // can be had from another version too. So it is written again in any case.
        Rung::Restart => dance::restart(board, config).await?,
        Rung::PowerCycle => dance::power_cycle(board, config).await?,
        Rung::Reflash | Rung::Pause(_) => {}
    }
    attempt(board, None, config, tell).await
}

async fn attempt(
    board: &dyn Board,
    running: Option<ImageInfo>,
    config: &BoardConfig,
    tell: &impl Fn(BoardStatus, Option<String>),
) -> Result<ImageInfo, BoardError> {
    // A board that is just changing its face is away for a moment.
    if !dance::present(board, config.arrival).await {
        return Err(BoardError::Gone);
    }
    let face = board.presence().borrow().face;
    let kept =
        running.filter(|info| info.name == config.default_image && face == Some(Face::Default));
    let info = match kept {
        Some(info) => info,
        None => {
            tell(BoardStatus::FlashingDefault, None);
            dance::flash(board, &config.default_image, config).await?
        }
    };
    tell(BoardStatus::Testing, None);
    dance::test(board, config).await?;
    Ok(info)
}

/// The error with all its causes, in one line. A cause that an error tells itself is not repeated.
pub(crate) fn explain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let told = cause.to_string();
        if !text.ends_with(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let error = BoardError::from(std::io::Error::other("no such endpoint"));
        assert_eq!(explain(&error), "talking to the board failed: no such endpoint");
        let error = icefarm_core::BuildError::Refused("no thanks".into());
        assert_eq!(explain(&error), "the state does not take these arguments: no thanks");
    }
}
