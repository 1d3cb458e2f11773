//! What a board is led through to run another firmware: bootloader, image, application. Every
//! step has a deadline, and is done when the bus shows it.

use crate::BoardConfig;
use icefarm_core::board::Presence;
use icefarm_core::{Board, BoardError, Face, ImageInfo, ImageName};
use std::future::Future;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::time::timeout;

/// Brings the board into its bootloader, writes the image, and waits until it runs.
pub(crate) async fn flash(
    board: &dyn Board,
    image: &ImageName,
    config: &BoardConfig,
) -> Result<ImageInfo, BoardError> {
    let mut presence = board.presence();
    let before = *presence.borrow();
    match before.face {
        None => return Err(BoardError::Gone),
        Some(Face::Bootloader) => {}
        Some(_) => {
            within("enter its bootloader", config.bootloader, async {
                board.enter_bootloader().await?;
                arrival(&mut presence, before.arrivals, |face| face == Face::Bootloader).await
            })
            .await?;
        }
    }
    let before = presence.borrow().arrivals;
    let info = within("take the image", config.write, board.write_image(image)).await?;
    let what = format!("come back running the image `{image}`");
    within(&what, config.arrival, async {
        arrival(&mut presence, before, |face| face != Face::Bootloader).await
    })
    .await?;
    Ok(info)
}

/// Restarts the firmware that the board holds, and waits until it runs.
pub(crate) async fn restart(board: &dyn Board, config: &BoardConfig) -> Result<(), BoardError> {
    let mut presence = board.presence();
    let before = *presence.borrow();
    if before.face.is_none() {
        return Err(BoardError::Gone);
    }
    within("come back after a restart", config.arrival, async {
        board.restart().await?;
        arrival(&mut presence, before.arrivals, |face| face != Face::Bootloader).await
    })
    .await
}

/// Cuts and restores the board's power, and waits until it is back with any face.
pub(crate) async fn power_cycle(board: &dyn Board, config: &BoardConfig) -> Result<(), BoardError> {
    let mut presence = board.presence();
    let before = presence.borrow().arrivals;
    within("come back after its power was cut", config.arrival * 2, async {
        board.power_cycle().await?;
        arrival(&mut presence, before, |_| true).await
    })
    .await
}

/// Checks that the default firmware runs: its face, its serial port, and the line that it prints.
pub(crate) async fn test(board: &dyn Board, config: &BoardConfig) -> Result<(), BoardError> {
    match board.presence().borrow().face {
        None => return Err(BoardError::Gone),
        Some(Face::Default) => {}
        Some(is) => return Err(BoardError::WrongFace { wanted: Face::Default, is }),
    }
    let mut port = within("open its serial port", config.open, board.open()).await?;
    let what = format!("print its line `{}`", config.default_line);
    within(&what, config.line, async {
        let mut seen = Seen::new(config.default_line.as_bytes());
        let mut buffer = [0; 256];
        loop {
            let read = port.read(&mut buffer).await?;
            if read == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
            if seen.push(&buffer[..read]) {
                return Ok(());
            }
        }
    })
    .await
}

/// Waits until the board is on the bus. `false` if it is not there after `limit`.
pub(crate) async fn present(board: &dyn Board, limit: Duration) -> bool {
    let mut presence = board.presence();
    let there = presence.wait_for(|presence| presence.face.is_some());
    matches!(timeout(limit, there).await, Ok(Ok(_)))
}

async fn within<T>(
    what: &str,
    after: Duration,
    work: impl Future<Output = Result<T, BoardError>>,
) -> Result<T, BoardError> {
    match timeout(after, work).await {
        Ok(result) => result,
        Err(_) => Err(BoardError::Timeout { what: what.to_owned(), after }),
    }
}

/// Waits for an enumeration after the first `seen` ones that shows a face as wanted.
async fn arrival(
    presence: &mut watch::Receiver<Presence>,
    seen: u64,
    wanted: impl Fn(Face) -> bool,
) -> Result<(), BoardError> {
    let arrived = presence
        .wait_for(|presence| presence.arrivals > seen && presence.face.is_some_and(&wanted))
        .await;
    // The bus no longer tells anything about the board.
    arrived.map(drop).map_err(|_| BoardError::Gone)
}

/// Looks for a text in a stream, of which it keeps no more than might be the text's beginning.
struct Seen<'a> {
    text: &'a [u8],
    tail: Vec<u8>,
}

impl<'a> Seen<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { text, tail: Vec::new() }
    }

    fn push(&mut self, bytes: &[u8]) -> bool {
        self.tail.extend_from_slice(bytes);
        let length = self.text.len().max(1);
        if self.tail.windows(length).any(|window| window == self.text) {
            return true;
        }
        let keep = self.tail.len().min(length - 1);
        self.tail.drain(..self.tail.len() - keep);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_across_the_pieces_it_comes_in() {
        let mut seen = Seen::new(b"default firmware");
        assert!(!seen.push(b"\x00garbage default fir"));
        assert!(!seen.push(b"mwar"));
        assert!(seen.push(b"e\r\n"));
    }

    #[test]
    fn what_was_seen_is_not_hoarded() {
        let mut seen = Seen::new(b"abc");
        for _ in 0..100 {
            assert!(!seen.push(b"ababababab"));
            assert!(seen.tail.len() < 3);
        }
        assert!(seen.push(b"c"));
    }
}
