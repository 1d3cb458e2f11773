//! Boards that another process of the same client name holds.

use crate::book::Change;
use crate::client::Client;
use crate::error::ClientError;
use crate::hub::{Followed, Notice};
use crate::loss::Loss;
use crate::reservation::Reservation;
use futures::{Stream, StreamExt as _};
use icefarm_core::Serial;
use icefarm_core::wire::{BoardDetail, GrantedBoard, LeaseDetail, WorkerDetail};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tokio::sync::mpsc;

impl Client {
    /// Works with boards that are held under this client's name already, as by `icefarm reserve`
    /// around this program, or by another process of the same name.
    ///
    /// They are taken to be ready. The leases stay the other process's: it renews them, and
    /// neither [`Self::end`] nor [`Self::close`] of this client ends them.
    ///
    /// # Errors
    /// [`ClientError::NotHeld`] for a board that nobody of this name holds,
    /// [`ClientError::MixedKinds`] if they do not all do the same;
    /// [`ClientError::Http`] or [`ClientError::Refused`].
    pub async fn adopt(
        &self,
        serials: impl IntoIterator<Item = Serial>,
    ) -> Result<Reservation, ClientError> {
        let serials: BTreeSet<Serial> = serials.into_iter().collect();
        // What happens to the leases while control is asked for them is not missed.
        let mark = self.inner().hub.begin();
        let boards = self.boards().await?;
        let workers: Vec<WorkerDetail> = self.workers().await?;
        let urls: BTreeMap<_, _> =
            workers.into_iter().map(|worker| (worker.name, worker.url)).collect();
        let mut held: BTreeMap<Serial, (BoardDetail, LeaseDetail)> = BTreeMap::new();
        for mut board in boards {
            if let Some(lease) = board.lease.take().filter(|lease| lease.client == *self.name()) {
                held.insert(board.serial.clone(), (board, lease));
            }
        }
        let mut granted = Vec::new();
        let mut shared = None;
        for serial in serials {
            let found = held.get(&serial);
            let found = found
                .and_then(|(board, lease)| Some((urls.get(&board.worker)?, &board.name, lease)));
            let Some((url, name, lease)) = found else {
                return Err(ClientError::NotHeld { serial });
            };
            let (_, kind) =
                shared.get_or_insert_with(|| (lease.reservation.clone(), lease.kind.clone()));
            if *kind != lease.kind {
                let kinds = [kind.clone(), lease.kind.clone()];
                return Err(ClientError::MixedKinds { kinds });
            }
            granted.push(GrantedBoard {
                serial,
                url: url.clone(),
                lease: lease.lease,
                expires_in_ms: lease.expires_in_ms,
                name: name.clone(),
            });
        }
        let Some((reservation, kind)) = shared else { return Err(ClientError::NoBoards) };
        self.inner().hub.adopt(mark, &granted);
        self.inner().match_links();
        Ok(Reservation::of(self.clone(), reservation, kind, granted))
    }
}

impl Reservation {
    /// Each board of this reservation that is lost, as soon as that is known, and first those that
    /// are lost already: as [`ClientError::BoardLost`], once for each board. Boards that this
    /// client gives back itself count as well. Ends when all are lost or the client is closed.
    pub fn losses(&self) -> impl Stream<Item = ClientError> + Send + Unpin + use<> {
        let serials: BTreeSet<Serial> = self.serials().into_iter().collect();
        let Followed { notices, boards, .. } = self.client().inner().hub.follow(&serials);
        let leases: BTreeMap<Serial, _> =
            self.boards().iter().map(|board| (board.serial.clone(), board.lease)).collect();
        let mut lost = VecDeque::new();
        for (serial, held) in boards {
            if let Some(loss) = held.loss_of(leases.get(&serial).copied()) {
                lost.push_back((serial, loss));
            }
        }
        let waiting = (notices, lost, serials);
        let losses = async |(mut notices, mut lost, mut left): Waiting| {
            loop {
                if left.is_empty() {
                    return None;
                }
                if let Some((serial, loss)) = lost.pop_front() {
                    if left.remove(&serial) {
                        let Loss { code, reason } = loss;
                        let error = ClientError::BoardLost { serial, code, reason };
                        return Some((error, (notices, lost, left)));
                    }
                } else if let Notice::Changed(Change::Lost(serial, loss)) = notices.recv().await? {
                    lost.push_back((serial, loss));
                }
            }
        };
        Box::pin(futures::stream::unfold(waiting, losses).fuse())
    }
}

/// What may be lost, what is lost and was not told, and the boards that are left.
type Waiting = (mpsc::UnboundedReceiver<Notice>, VecDeque<(Serial, Loss)>, BTreeSet<Serial>);
