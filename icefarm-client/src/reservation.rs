//! Boards that are held together.

use crate::client::Client;
use crate::error::ClientError;
use crate::evaluator::Evaluation;
use crate::hub::NotReady;
use crate::reserving::{OnPlace, QueuePlace, Wish};
use icefarm_core::wire::{GrantedBoard, ReservationAnswer, Selection};
use icefarm_core::{Kind, Object, ReservationId, Serial, Value, ValueError, to_value};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long the leases of this client last without being renewed by its control socket.
const TTL_S: u32 = 60;

/// What to reserve.
///
/// ```
/// use icefarm_client::ReserveOptions;
///
/// let options = ReserveOptions::new(4, "pulsecount")
///     .args(serde_json::json!({"flush_interval_seconds": 1}))
///     .simulated(true)
///     .wait(std::time::Duration::from_secs(600))
///     .on_position(|place| eprintln!("{} of {} in the queue", place.position, place.waiting));
/// ```
#[derive(Debug, Clone)]
pub struct ReserveOptions {
    selection: Selection,
    kind: String,
    args: Result<Object, ValueError>,
    ttl_s: u32,
    simulated: Option<bool>,
    labels: BTreeMap<String, String>,
    wait: Duration,
    priority: Option<i32>,
    on_place: Option<OnPlace>,
}

impl ReserveOptions {
    /// So many boards, whichever are free.
    #[must_use]
    pub fn new(amount: u32, kind: impl Into<String>) -> Self {
        Self::of(Selection::Amount(amount), kind.into())
    }

    /// Exactly these boards.
    #[must_use]
    pub fn serials(serials: impl IntoIterator<Item = Serial>, kind: impl Into<String>) -> Self {
        Self::of(Selection::Serials(serials.into_iter().collect()), kind.into())
    }

    /// So many boards for an evaluation, with its arguments.
    #[must_use]
    pub fn evaluating<K: Evaluation>(amount: u32, args: &K::Args) -> Self {
        Self::new(amount, K::KIND).args(args)
    }

    fn of(selection: Selection, kind: String) -> Self {
        Self {
            selection,
            kind,
            args: Ok(Object::new()),
            ttl_s: TTL_S,
            simulated: None,
            labels: BTreeMap::new(),
            wait: Duration::ZERO,
            priority: None,
            on_place: None,
        }
    }

    /// The kind's arguments: anything that serde writes as an object, with numbers that are finite.
    #[must_use]
    pub fn args(mut self, args: impl Serialize) -> Self {
        self.args = object(args).and_then(finite);
        self
    }

    /// Whether simulated boards are wanted: `true` only these, `false` none of them. Unless said,
    /// real boards are taken, and simulated ones only in a farm that has no real board.
    #[must_use]
    pub fn simulated(mut self, simulated: bool) -> Self {
        self.simulated = Some(simulated);
        self
    }

    /// Takes only boards with this label, which an operator gave them (`icefarm label`). Called
    /// several times, all of the labels must be there. A board's name is its label `name`.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Waits for the boards for so long, if others hold them; in whole seconds, rounded up. Control
    /// keeps a queue, by priority and then by arrival, so that nobody who came later is served
    /// before. Not at all unless said.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Of those who wait, higher ones are served first. 0 unless said. The farm may limit it.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Is told where the request stands in the queue, whenever that changes. It must not block.
    #[must_use]
    pub fn on_position(mut self, tell: impl Fn(QueuePlace) + Send + Sync + 'static) -> Self {
        self.on_place = Some(OnPlace(Arc::new(tell)));
        self
    }

    /// How long the leases last once this client's control socket is gone, in seconds. 60 unless
    /// changed.
    #[must_use]
    pub fn ttl_s(mut self, seconds: u32) -> Self {
        self.ttl_s = seconds;
        self
    }
}

/// Rounded up, so that no wait becomes none.
fn whole_seconds(wait: Duration) -> u32 {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// Anything that serde writes as an object; nothing counts as an empty one.
pub(crate) fn object(contents: impl Serialize) -> Result<Object, ValueError> {
    match to_value(&contents)? {
        Value::Object(object) => Ok(object),
        Value::Null => Ok(Object::new()),
        _ => Err(serde::de::Error::custom("they must be an object, as in json!({\"key\": 1})")),
    }
}

/// Arguments travel as JSON, which has no other numbers: they would arrive as none at all.
fn finite(args: Object) -> Result<Object, ValueError> {
    fn is_finite(value: &Value) -> bool {
        match value {
            Value::F64(number) => number.is_finite(),
            Value::Array(values) => values.iter().all(is_finite),
            Value::Object(fields) => fields.values().all(is_finite),
            _ => true,
        }
    }
    match args.iter().find(|(_, value)| !is_finite(value)) {
        Some((key, _)) => Err(serde::de::Error::custom(format!("`{key}` is not a finite number"))),
        None => Ok(args),
    }
}

impl Client {
    /// Reserves boards: all of them or none.
    ///
    /// A request that has no answer is repeated, and control gives the same answer to it. Dropping
    /// the future gives back what was reserved, and cancels a request that [waits](
    /// ReserveOptions::wait); it may wait over restarts of control.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with control's reason, as `not_enough_devices`, `bad_arguments`,
    /// `wait_expired` or `wait_cancelled`; [`ClientError::NoBoards`] if none is wanted;
    /// [`ClientError::Http`] if there was no answer for [`Bounds::retry`](crate::Bounds::retry), or
    /// for [`Bounds::away`](crate::Bounds::away) while it waits.
    pub async fn reserve(&self, options: ReserveOptions) -> Result<Reservation, ClientError> {
        let inner = self.inner();
        let kind = Kind::new(options.kind)?;
        let args = options.args.map_err(ClientError::Arguments)?;
        let names_none = match &options.selection {
            Selection::Amount(amount) => *amount == 0,
            Selection::Serials(serials) => serials.is_empty(),
        };
        if names_none {
            return Err(ClientError::NoBoards);
        }
        let request = inner.new_id();
        let mut body = Object::from_iter([
            ("name".to_owned(), inner.name.as_str().into()),
            ("kind".to_owned(), kind.as_str().into()),
            ("args".to_owned(), args.into()),
            ("request".to_owned(), request.as_str().into()),
            ("instance".to_owned(), inner.instance.as_str().into()),
            ("ttl_s".to_owned(), options.ttl_s.into()),
        ]);
        if let Some(simulated) = options.simulated {
            body.insert("simulated".to_owned(), simulated.into());
        }
        if !options.labels.is_empty() {
            let labels = options.labels.into_iter().map(|(key, value)| (key, value.into()));
            body.insert("labels".to_owned(), Value::Object(labels.collect()));
        }
        let waits = !options.wait.is_zero();
        if waits {
            body.insert("wait_s".to_owned(), whole_seconds(options.wait).into());
        }
        if let Some(priority) = options.priority {
            body.insert("priority".to_owned(), priority.into());
        }
        let path = match options.selection {
            Selection::Amount(amount) => {
                body.insert("amount".to_owned(), amount.into());
                "/reserve"
            }
            Selection::Serials(serials) => {
                let serials: Value = serials.iter().map(Serial::as_str).collect();
                body.insert("serials".to_owned(), serials);
                "/reserveserials"
            }
        };
        let wish = Wish { path, body, request, waits, on_place: options.on_place };
        let ReservationAnswer { reservation, boards } = inner.reserve(wish).await?;
        Ok(Reservation::of(self.clone(), reservation, kind, boards))
    }

    /// Reserves exactly these boards, see [`Self::reserve`].
    ///
    /// # Errors
    /// As [`Self::reserve`].
    pub async fn reserve_serials(
        &self,
        serials: impl IntoIterator<Item = Serial>,
        kind: impl Into<String>,
        args: impl Serialize,
    ) -> Result<Reservation, ClientError> {
        self.reserve(ReserveOptions::serials(serials, kind).args(args)).await
    }

    /// Waits until all of these boards take commands, also if they have been doing so for long.
    ///
    /// # Errors
    /// [`ClientError::BoardLost`] as soon as one of them failed or its lease is over;
    /// [`ClientError::Unreachable`] if its worker or control is away for too long;
    /// [`ClientError::NotInitialized`] after `timeout`; [`ClientError::NotHeld`].
    pub async fn wait_initialized(
        &self,
        serials: &[Serial],
        timeout: Duration,
    ) -> Result<(), ClientError> {
        let inner = self.inner();
        let deadline = tokio::time::Instant::now() + timeout;
        let mut changes = inner.hub.changes();
        loop {
            changes.mark_unchanged();
            let waiting = match inner.hub.not_ready(serials, &inner.control_url) {
                None => return Ok(()),
                Some(NotReady::Initializing(waiting)) => waiting,
                Some(NotReady::NotHeld(serial)) => return Err(ClientError::NotHeld { serial }),
                Some(NotReady::Lost(serial, loss)) => {
                    let (code, reason) = (loss.code, loss.reason);
                    return Err(ClientError::BoardLost { serial, code, reason });
                }
                Some(NotReady::Unreachable(url, loss)) => {
                    let (url, reason) = (url.to_string(), loss.reason);
                    return Err(ClientError::Unreachable { url, reason, source: None });
                }
            };
            if let Ok(changed) = tokio::time::timeout_at(deadline, changes.changed()).await {
                changed.map_err(|_| ClientError::Closed)?;
            } else {
                return Err(ClientError::NotInitialized { serials: waiting, waited: timeout });
            }
        }
    }
}

/// Boards that were reserved together. Each has a lease of its own, which lasts as long as the
/// client's control socket lives, until it is ended or lost. Dropping this ends nothing.
#[derive(Debug, Clone)]
pub struct Reservation {
    client: Client,
    id: ReservationId,
    kind: Kind,
    boards: Vec<GrantedBoard>,
}

impl Reservation {
    pub(crate) fn of(
        client: Client,
        id: ReservationId,
        kind: Kind,
        boards: Vec<GrantedBoard>,
    ) -> Self {
        Self { client, id, kind, boards }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// What the boards share.
    #[must_use]
    pub fn id(&self) -> &ReservationId {
        &self.id
    }

    /// What the boards do.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The boards as they were granted.
    #[must_use]
    pub fn boards(&self) -> &[GrantedBoard] {
        &self.boards
    }

    /// The boards' serials.
    #[must_use]
    pub fn serials(&self) -> Vec<Serial> {
        self.boards.iter().map(|board| board.serial.clone()).collect()
    }

    /// Waits until all boards take commands, see [`Client::wait_initialized`].
    ///
    /// # Errors
    /// As [`Client::wait_initialized`].
    pub async fn initialized(&self, timeout: Duration) -> Result<(), ClientError> {
        self.client.wait_initialized(&self.serials(), timeout).await
    }

    /// See [`Client::extend`].
    ///
    /// # Errors
    /// As [`Client::extend`].
    pub async fn extend(&self) -> Result<Vec<Serial>, ClientError> {
        self.client.extend(&self.serials()).await
    }

    /// Ends the leases, see [`Client::end`].
    ///
    /// # Errors
    /// As [`Client::end`].
    pub async fn end(self) -> Result<Vec<Serial>, ClientError> {
        self.client.end(&self.serials()).await
    }
}
