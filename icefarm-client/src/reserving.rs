//! A reservation in the making: asked for, waited for, given back if nobody wants it any more.

use crate::client::Inner;
use crate::error::ClientError;
use crate::hub::Notice;
use icefarm_core::wire::{
    CancelAnswer, Event, Queued, ReservationAnswer, ReserveAnswer, V1_JSON, events,
};
use icefarm_core::{Object, Serial, Value};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

/// For how long a reservation of unknown fate is asked after, so that it can be given back.
const LOOK_AFTER: Duration = Duration::from_secs(600);
/// How often it is asked what has become of a request that waits, if no event says so.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// Where a request stands that waits for boards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueuePlace {
    /// From 1: the next to be served.
    pub position: u32,
    /// How many wait in all.
    pub waiting: u32,
}

/// Told of every place that a request comes to.
#[derive(Clone)]
pub(crate) struct OnPlace(pub(crate) Arc<dyn Fn(QueuePlace) + Send + Sync>);

impl fmt::Debug for OnPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// A request for boards.
pub(crate) struct Wish {
    pub(crate) path: &'static str,
    pub(crate) body: Object,
    /// The id in the body.
    pub(crate) request: String,
    /// Whether it may wait.
    pub(crate) waits: bool,
    pub(crate) on_place: Option<OnPlace>,
}

/// What has become of a request.
enum Fate {
    Known(Result<ReservationAnswer, ClientError>),
    /// Nobody wants the boards any more.
    Unwanted,
}

/// Boards on their way to who asked for them: they are given back if they do not arrive.
struct Parcel {
    client: Arc<Inner>,
    runtime: Handle,
    answer: Option<ReservationAnswer>,
}

impl Parcel {
    fn new(client: Arc<Inner>, answer: ReservationAnswer) -> Self {
        Self { client, runtime: Handle::current(), answer: Some(answer) }
    }

    /// Hands the boards over: whoever calls this sees to them from now on.
    fn open(mut self) -> Option<ReservationAnswer> {
        self.answer.take()
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        let Some(answer) = self.answer.take() else { return };
        let client = self.client.clone();
        self.runtime.spawn(async move { client.give_back(&serials(&answer)).await });
    }
}

type Tell = oneshot::Sender<Result<Parcel, ClientError>>;

impl Inner {
    /// Reserves boards. The request goes on in a task of its own: if nobody waits for its answer
    /// any more, or there is none for so long that the caller is told so, the boards that it may
    /// bring in the end are given back.
    pub(crate) async fn reserve(
        self: &Arc<Self>,
        wish: Wish,
    ) -> Result<ReservationAnswer, ClientError> {
        if self.is_closed() {
            return Err(ClientError::Closed);
        }
        let (tell, told) = oneshot::channel();
        let counted = Counted::new(self.clone());
        tokio::spawn(async move {
            let client = &counted.0;
            if wish.waits {
                client.wait_for(&wish, tell).await;
            } else {
                client.ask_for(&wish, tell).await;
            }
        });
        let parcel = told.await.map_err(|_| ClientError::Closed)??;
        parcel.open().ok_or(ClientError::Closed)
    }

    async fn ask(&self, wish: &Wish, deadline: Instant) -> Result<ReserveAnswer, ClientError> {
        let options = self.options().accept(V1_JSON);
        let request = || self.http.post_json(&self.control, wish.path, &wish.body, &options);
        self.repeat(deadline, request).await
    }

    /// A request that is granted or refused.
    async fn ask_for(self: &Arc<Self>, wish: &Wish, tell: Tell) {
        let mark = self.hub.begin();
        let mut tell = Some(tell);
        let mut deadline = Instant::now() + self.bounds.retry;
        loop {
            let answer = self.ask(wish, deadline).await.and_then(granted);
            let unknown = matches!(&answer, Err(ClientError::Http { .. }));
            let answer = answer.and_then(|answer| self.take(mark, answer));
            // Nobody takes the answer: the caller went away, or was told of a failure.
            let untold = tell.take().is_none_or(|tell| tell.send(answer).is_err());
            // While the fate of the request is unknown, it is asked after.
            if !unknown || untold && Instant::now() >= deadline {
                return;
            }
            deadline = Instant::now() + LOOK_AFTER;
        }
    }

    /// A request that may wait.
    async fn wait_for(self: &Arc<Self>, wish: &Wish, mut tell: Tell) {
        let mark = self.hub.begin();
        // Before it is asked for the first time, so that no event is missed.
        let mut notices = self.hub.follow(&[]).notices;
        let fate = tokio::select! {
            answer = self.granted_or_refused(wish, &mut notices) => Fate::Known(answer),
            () = tell.closed() => Fate::Unwanted,
        };
        let is_wanted = match fate {
            Fate::Unwanted => false,
            Fate::Known(answer) => {
                let is_settled = !matches!(&answer, Err(ClientError::Http { .. }));
                match tell.send(answer.and_then(|answer| self.take(mark, answer))) {
                    Ok(()) => is_settled,
                    Err(unwanted) => {
                        // To cancel the request gives them back.
                        let _ = unwanted.map(Parcel::open);
                        false
                    }
                }
            }
        };
        if !is_wanted {
            self.cancel(wish).await;
        }
    }

    async fn granted_or_refused(
        &self,
        wish: &Wish,
        notices: &mut mpsc::UnboundedReceiver<Notice>,
    ) -> Result<ReservationAnswer, ClientError> {
        let mut bound = self.bounds.retry;
        loop {
            match self.ask(wish, Instant::now() + bound).await? {
                ReserveAnswer::Granted(answer) => return Ok(answer),
                ReserveAnswer::Queued(answer) => {
                    let Queued { position, waiting, .. } = answer.queued;
                    wish.tell_place(QueuePlace { position, waiting });
                }
            }
            // It waits. Control may be away for a while now without an end of that.
            bound = self.bounds.away;
            self.news(wish, notices).await?;
        }
    }

    /// Waits until something may have become of a request.
    async fn news(
        &self,
        wish: &Wish,
        notices: &mut mpsc::UnboundedReceiver<Notice>,
    ) -> Result<(), ClientError> {
        let mut again = std::pin::pin!(sleep(ASK_AGAIN));
        loop {
            let notice = tokio::select! {
                notice = notices.recv() => notice.ok_or(ClientError::Closed)?,
                () = &mut again => return Ok(()),
            };
            match notice {
                Notice::Event(event) if event.server == self.control_url => {
                    if wish.is_settled_by(&event.event) {
                        return Ok(());
                    }
                    if let Some(place) = wish.place(&event.event) {
                        wish.tell_place(place);
                    }
                }
                Notice::Resync(server) | Notice::Connected(server)
                    if server == self.control_url =>
                {
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    /// Enters granted boards in the book. A client that was closed meanwhile gives them back:
    /// what it ended when it was closed, it did not know yet.
    fn take(self: &Arc<Self>, mark: u64, answer: ReservationAnswer) -> Result<Parcel, ClientError> {
        self.hub.grant(mark, &answer.boards);
        self.match_links();
        let parcel = Parcel::new(self.clone(), answer);
        if self.is_closed() { Err(ClientError::Closed) } else { Ok(parcel) }
    }

    async fn give_back(&self, serials: &[Serial]) {
        if let Err(error) = self.end(serials).await {
            tracing::warn!(%error, ?serials, "boards that nobody waits for were not given back");
        }
    }

    /// Sees to it that a request brings no boards any more, granted or not.
    async fn cancel(&self, wish: &Wish) {
        let mut body = self.named(None);
        body.insert("request".to_owned(), wish.request.as_str().into());
        let options = self.options();
        let post = || self.http.post_json(&self.control, "/v1/queue/cancel", &body, &options);
        let cancelled: Result<CancelAnswer, _> =
            self.repeat(Instant::now() + LOOK_AFTER, post).await;
        if let Err(error) = cancelled {
            tracing::warn!(%error, "a request that nobody waits for was not cancelled");
        }
    }
}

fn granted(answer: ReserveAnswer) -> Result<ReservationAnswer, ClientError> {
    match answer {
        ReserveAnswer::Granted(answer) => Ok(answer),
        // Not for a request that does not say that it waits.
        ReserveAnswer::Queued(_) => Err(ClientError::Closed),
    }
}

fn serials(answer: &ReservationAnswer) -> Vec<Serial> {
    answer.boards.iter().map(|board| board.serial.clone()).collect()
}

impl Wish {
    fn tell_place(&self, place: QueuePlace) {
        if let Some(OnPlace(tell)) = &self.on_place {
            tell(place);
        }
    }

    fn is_this(&self, request: Option<&Value>) -> bool {
        request.and_then(Value::as_str) == Some(self.request.as_str())
    }

    /// Whether the event says that this request does not wait any more.
    fn is_settled_by(&self, event: &Event) -> bool {
        [events::GRANTED, events::NOT_GRANTED].contains(&event.event.as_str())
            && self.is_this(event.fields.get("request"))
    }

    /// Where this request stands by an event.
    fn place(&self, event: &Event) -> Option<QueuePlace> {
        if event.event != events::QUEUE_POSITIONS {
            return None;
        }
        let number = |value: &Value| u32::try_from(value.as_u64()?).ok();
        let waiting = number(event.fields.get("waiting")?)?;
        let mut requests =
            event.fields.get("requests")?.as_array()?.iter().filter_map(Value::as_object);
        let own = requests.find(|entry| self.is_this(entry.get("request")))?;
        Some(QueuePlace { position: number(own.get("position")?)?, waiting })
    }
}

/// A client with a request under way, which counts for as long as this lives.
struct Counted(Arc<Inner>);

impl Counted {
    fn new(client: Arc<Inner>) -> Self {
        client.asking.fetch_add(1, Ordering::SeqCst);
        Self(client)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.asking.fetch_sub(1, Ordering::SeqCst);
    }
}
