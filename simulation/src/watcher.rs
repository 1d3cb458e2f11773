//! Subscribers that look at the raw event streams, and sometimes command boards that their client
//! held before.

use crate::dice::Dice;
use crate::network::SimConnector;
use crate::probe::circuit;
use crate::script::Character;
use crate::witness::{self, Seen, note};
use icefarm_core::wire::{ClientFrame, Position, events};
use icefarm_core::{ClientName, Epoch, Object, Serial, Value};
use icefarm_net::{ClientSocket, Endpoint, SocketParams, SubscriberId};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// One subscriber at one server.
pub(crate) struct Watcher {
    pub(crate) character: Arc<Character>,
    /// `control`, or the worker's name.
    pub(crate) server: String,
    pub(crate) endpoint: Endpoint,
    /// How many in a hundred moments it gives a command without having asked for a board.
    pub(crate) strays: u64,
}

impl Watcher {
    /// Follows the stream for as long as its process lives.
    pub(crate) async fn watch(self) {
        let number = self.character.numbers.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}~{number}", self.character.name);
        let mut dice = Dice::new(self.character.seed, &name);
        let mut seen: Option<Seen> = None;
        loop {
            self.socket(&name, &mut seen, &mut dice).await;
            witness::with(|witness| witness.gone(&name));
            tokio::time::sleep(dice.millis(50, 2000)).await;
        }
    }

    async fn socket(&self, name: &str, known: &mut Option<Seen>, dice: &mut Dice) -> Option<()> {
        let client = ClientName::new(self.character.name.as_str()).ok()?;
        let position = known
            .as_ref()
            .map(|seen| Position { epoch: Epoch::from(seen.epoch.clone()), seq: seen.seq });
        let mut params = SocketParams::new(client, SubscriberId::new(name).ok()?).resume(position);
        params.timeout = Duration::from_secs(5);
        params.silence = Duration::from_secs(20);
        let connected = ClientSocket::connect(&SimConnector, &self.endpoint, params).await;
        let (mut socket, hello) = connected.ok()?;
        let epoch = hello.epoch.as_str().to_owned();
        // Whoever is new gets what is kept, and that may be nothing.
        let mut has = hello.seq;
        let mut seen = match known.take() {
            Some(seen) if seen.epoch == epoch => {
                witness::with(|witness| witness.tally.resumes += 1);
                has = seen.seq.max(seen.before);
                seen
            }
            _ => Seen { epoch, seq: 0, before: hello.seq, strict: false },
        };
        witness::with(|w| w.follows(name, &self.character.name, &self.server, has));
        *known = Some(seen.clone());
        let mut acknowledged = seen.seq;
        loop {
            let frame = tokio::select! {
                biased;
                frame = socket.next() => frame.ok()??,
                () = tokio::time::sleep(Duration::from_millis(700)) => {
                    if dice.percent(self.strays) {
                        self.stray(name, &mut socket, dice).await?;
                    }
                    if seen.seq > acknowledged && dice.percent(50) {
                        acknowledged = seen.seq;
                        let epoch = Epoch::from(seen.epoch.clone());
                        socket.ack(&Position { epoch, seq: seen.seq }).await.ok()?;
                    }
                    continue;
                }
            };
            let refused = |event: &icefarm_core::wire::Event| event.event == events::ERROR;
            if frame.contents.iter().any(refused) {
                witness::with(|witness| witness.tally.strays_refused += 1);
            }
            witness::with(|w| {
                w.frame(name, &self.character.name, &self.server, &mut seen, &frame);
            });
            *known = Some(seen.clone());
        }
    }

    /// Commands a board that the client held before, whoever holds it now: the worker must refuse
    /// it unless it is the client again.
    async fn stray(&self, name: &str, socket: &mut ClientSocket, dice: &mut Dice) -> Option<()> {
        let held = self.character.held.borrow().clone();
        let url = self.endpoint.to_string();
        let here: Vec<_> = held.into_iter().filter(|(_, at)| *at == url).collect();
        if here.is_empty() {
            return Some(());
        }
        let (serial, _) = dice.pick(&here).clone();
        let id = format!("{name}-{}", self.character.numbers.fetch_add(1, Ordering::Relaxed));
        note!("{name}: commands {serial} as {id}");
        witness::with(|witness| {
            let holds = witness.holder(&serial) == Some(self.character.name.as_str());
            witness.tally.strays += u64::from(!holds);
        });
        let bytes = Value::from(icefarm_core::Blob::from(circuit(&self.character.name, &id)));
        let contents = Object::from_iter([
            ("files".to_owned(), Value::Object(Object::from_iter([(id.clone(), bytes)]))),
            ("batch_id".to_owned(), id.as_str().into()),
        ]);
        let serials = vec![Serial::new(serial).ok()?];
        let (event, leases) = ("evaluate".to_owned(), std::collections::BTreeMap::new());
        let frame = ClientFrame { serials, event, contents, id: Some(id), leases };
        socket.send(&frame).await.ok()
    }
}
