//! What a state asks of its board, done by the supervisor one after the other: a board that a
//! state has let go of half-way is still led to the end of what was begun.

use crate::BoardConfig;
use crate::board::{flash, restart};
use crate::lease::{Ask, Fence};
use futures::FutureExt;
use futures::future::{self, BoxFuture};
use icefarm_core::{Board, BoardError, Face, ImageInfo, ImageName, SerialPort};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::time::timeout;

/// What is known of the image on the board after something was done.
pub(super) enum Holds {
    /// As before.
    AsBefore,
    /// This one, or it is not known.
    Now(Option<ImageInfo>),
}

/// The queue of one lease.
#[derive(Default)]
pub(super) struct Asks {
    waiting: VecDeque<Ask>,
    doing: Option<BoxFuture<'static, Holds>>,
}

impl Asks {
    pub(super) fn push(&mut self, ask: Ask) {
        self.waiting.push_back(ask);
    }

    /// Whether the board may be changing its face because a state wants it to.
    pub(super) fn busy(&self) -> bool {
        self.doing.is_some()
    }

    /// Begins what waits, unless something is being done.
    pub(super) fn begin(
        &mut self,
        board: &Arc<dyn Board>,
        holds: Option<&ImageInfo>,
        fence: &Arc<Fence>,
        config: &BoardConfig,
    ) {
        if self.doing.is_some() {
            return;
        }
        let Some(ask) = self.waiting.pop_front() else { return };
        let (board, holds) = (board.clone(), holds.cloned());
        let (fence, config) = (fence.clone(), config.clone());
        self.doing = Some(carry_out(ask, board, holds, fence, config).boxed());
    }

    /// Waits for the end of what is being done; for ever if nothing is.
    pub(super) async fn done(&mut self) -> Holds {
        let Some(doing) = &mut self.doing else { return future::pending().await };
        let holds = doing.await;
        self.doing = None;
        holds
    }
}

// An answer that nobody waits for any more changes nothing in what was done.
async fn carry_out(
    ask: Ask,
    board: Arc<dyn Board>,
    holds: Option<ImageInfo>,
    fence: Arc<Fence>,
    config: BoardConfig,
) -> Holds {
    match ask {
        Ask::Flash(image, answer) => {
            let flashed = match kept(&*board, holds, &image) {
                Some(info) => Ok(info),
                None => flash(&*board, &image, &config).await,
            };
            let now = flashed.as_ref().ok().cloned();
            let _ = answer.send(flashed);
            Holds::Now(now)
        }
        Ask::Restart(answer) => {
            let _ = answer.send(restart(&*board, &config).await);
            Holds::AsBefore
        }
        Ask::Open(answer) => {
            let _ = answer.send(open(&*board, &fence, &config).await);
            Holds::AsBefore
        }
    }
}

/// The image, if the board runs it already.
fn kept(board: &dyn Board, holds: Option<ImageInfo>, image: &ImageName) -> Option<ImageInfo> {
    let runs = matches!(board.presence().borrow().face, Some(Face::Default | Face::Application));
    holds.filter(|info| info.name == *image && runs)
}

async fn open(
    board: &dyn Board,
    fence: &Fence,
    config: &BoardConfig,
) -> Result<SerialPort, BoardError> {
    let opened = timeout(config.open, board.open()).await;
    let late = |_| BoardError::Timeout { what: "open its serial port".into(), after: config.open };
    fence.adopt(opened.map_err(late)??)
}
