//! What clients say over their websockets, and what they are told.

use crate::door::Door;
use crate::lease::EventSink;
use crate::roster::Roster;
use futures::future::{BoxFuture, ready};
use futures::stream::{BoxStream, FuturesUnordered};
use futures::{FutureExt, StreamExt};
use icefarm_core::wire::{ClientFrame, ErrorCode, ErrorDetail, ServerFrame};
use icefarm_core::{ClientName, Serial};
use icefarm_net::{
    Answer, ApiError, Caller, Hub, Pass, SocketRequest, SocketService, TicketClaims, answer, heft,
    ws,
};
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

impl EventSink for Hub {
    fn publish(&self, client: &ClientName, frame: ServerFrame) {
        // The number is the hub's own business.
        Hub::publish(self, client, frame);
    }
}

/// Hands commands to the boards that they are for.
struct Boards {
    roster: Arc<Roster>,
}

impl SocketService for Boards {
    /// The commands are in the queues of their boards when this returns, and so in the order in
    /// which the client sent them.
    fn command(&self, caller: &Caller, frame: ClientFrame) -> BoxStream<'static, Answer> {
        let ClientFrame { serials, event, contents, leases, .. } = frame;
        let (bytes, contents) = (heft(&contents), Arc::new(contents));
        let answers: FuturesUnordered<BoxFuture<'static, Answer>> = serials
            .into_iter()
            .map(|serial| match self.roster.get(&serial) {
                Ok(board) => board
                    .command(
                        &caller.client,
                        leases.get(&serial).copied(),
                        event.clone(),
                        contents.clone(),
                        bytes,
                    )
                    .map(|result| (serial, result))
                    .boxed(),
                Err(error) => ready((serial, Err(error))).boxed(),
            })
            .collect();
        answers.boxed()
    }

    fn admit(&self, caller: &Caller, serial: &Serial) -> Result<(), ErrorDetail> {
        self.roster.admit(&caller.client, serial)
    }

    fn is_guest(&self, client: &ClientName) -> bool {
        !self.roster.serves(client)
    }

    fn opened(&self, caller: &Caller) {
        tracing::debug!(client = %caller.client, peer = %caller.peer, "a client is here");
    }

    fn closed(&self, caller: &Caller) {
        tracing::debug!(client = %caller.client, peer = %caller.peer, "a client has left");
    }
}

/// The paths of websockets.
pub(crate) fn sockets(hub: Hub, roster: Arc<Roster>, door: Arc<Door>) -> BoxedFilter<(Response,)> {
    let boards = Arc::new(Boards { roster });
    ws().and(warp::ext::optional::<TicketClaims>())
        .map(move |request: SocketRequest, ticket: Option<TicketClaims>| {
            if let Err(error) = check(&door, &request, ticket.as_ref()) {
                return answer(Err::<(), _>(error));
            }
            let pass =
                ticket.map(|ticket| Pass { token: ticket.token.0, expires: Some(ticket.expires) });
            hub.accept_by(request, boards.clone(), pass)
        })
        .boxed()
}

/// A ticket is good for one client name.
fn check(
    door: &Door,
    request: &SocketRequest,
    ticket: Option<&TicketClaims>,
) -> Result<(), ApiError> {
    // What is wrong with the request itself is answered with it.
    let Ok(query) = request.query() else { return Ok(()) };
    match ticket {
        Some(ticket) if ticket.client == query.client => Ok(()),
        Some(_) => {
            let message = format!("the ticket is not for the client name `{}`", query.client);
            Err(ApiError::new(ErrorCode::Forbidden, message))
        }
        None if door.asks() => {
            Err(ApiError::new(ErrorCode::Unauthorized, "this worker wants a ticket"))
        }
        None => Ok(()),
    }
}
