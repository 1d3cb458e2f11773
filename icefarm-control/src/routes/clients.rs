//! What clients call: reserve, extend, end.

use super::permit::{Asker, Deed, asker};
use super::{Context, call, get_or_post, read};
use crate::machine::{Answer, Command};
use icefarm_core::wire::{
    GrantedBoard, Named, NamedSerials, PythonRow, QueuedAnswer, ReservationAnswer, ReserveAnswer,
    ReserveRequest, TicketedReservation,
};
use icefarm_core::{ArgError, Args, ClientName, InstanceId, Object, ReservationId, Serial, Value};
use icefarm_net::{ApiError, Endpoint, answer, json, wants_v1};
use serde_json::json;
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::{Method, StatusCode};
use warp::reply::Response;

pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let by_amount = reserve(context, "reserve", ReserveRequest::by_amount);
    let by_serials = reserve(context, "reserveserials", ReserveRequest::by_serials);
    let extend = named_serials(context, "extend", Command::extend);
    let end = named_serials(context, "end", Command::end);
    let extend_all = named(context, "extendall", Command::extend);
    let end_all = named(context, "endall", Command::end);
    let reserving = by_amount.or(by_serials).unify().boxed();
    let some = extend.or(end).unify().boxed();
    let all = extend_all.or(end_all).unify().boxed();
    reserving.or(some).unify().or(all).unify().or(free(context)).unify().boxed()
}

/// What can be reserved now. Old clients send a body here too, which says nothing.
fn free(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let available =
        warp::path!("available").and(get_or_post()).and(asker(context)).map(|_, asker: Asker| {
            let amount = || json!({ "amount": asker.ledger.farm().offered().len() });
            answer(asker.check(Deed::Look).map(|()| amount()))
        });
    let devices =
        warp::path!("devices").and(get_or_post()).and(asker(context)).map(|_, asker: Asker| {
            let farm = asker.ledger.farm();
            let serials =
                || farm.offered().into_iter().map(|board| board.serial()).collect::<Vec<_>>();
            answer(asker.check(Deed::Look).map(|()| serials()))
        });
    available.or(devices).unify().boxed()
}

type ReadReservation = fn(Args) -> Result<ReserveRequest, ArgError>;

fn reserve(
    context: &Arc<Context>,
    path: &'static str,
    reader: ReadReservation,
) -> BoxedFilter<(Response,)> {
    call(context, path)
        .and(wants_v1())
        .then(move |asker: Asker, method, args, full| async move {
            let reserved = match read(args, reader) {
                Ok(request) => grant(&asker, request).await,
                Err(error) => Err(error),
            };
            match reserved {
                Err(error) => answer(Err::<(), _>(error)),
                Ok((_, ReserveAnswer::Queued(queued))) => accepted(&queued),
                Ok((client, ReserveAnswer::Granted(reservation))) if full => {
                    json(&ticketed(&asker, &client, reservation))
                }
                // Whoever reserves by GET is one of the Python clients, which read rows.
                Ok((_, ReserveAnswer::Granted(reservation))) if method == Method::GET => {
                    json(&rows(&reservation))
                }
                Ok((_, ReserveAnswer::Granted(reservation))) => json(&reservation.to_map()),
            }
        })
        .boxed()
}

async fn grant(
    asker: &Asker,
    mut request: ReserveRequest,
) -> Result<(ClientName, ReserveAnswer), ApiError> {
    let client = request.name.clone();
    let trail = asker.trail("reserve").client(Some(&client));
    asker.permit(Deed::Hold(&client), &trail).await?;
    request.args = as_json(request.args);
    let reservation = ReservationId::from((asker.ids)());
    let command = Command::Reserve { request: Box::new(request), reservation: reservation.clone() };
    let answered = match asker.submit_for(command, trail).await? {
        Answer::Reserved(answer) => ReserveAnswer::Granted(answer),
        Answer::Queued(queued) => ReserveAnswer::Queued(QueuedAnswer { queued }),
        _ => ReserveAnswer::Granted(ReservationAnswer { reservation, boards: Vec::new() }),
    };
    Ok((client, answered))
}

/// The request waits.
fn accepted(queued: &QueuedAnswer) -> Response {
    let mut response = json(queued);
    if response.status().is_success() {
        *response.status_mut() = StatusCode::ACCEPTED;
    }
    response
}

/// The reservation with what its client has to show to the boards' workers.
fn ticketed(
    asker: &Asker,
    client: &ClientName,
    reservation: ReservationAnswer,
) -> TicketedReservation {
    let is_meant = |url: &str| reservation.boards.iter().any(|board| board.url == url);
    let tickets = asker.context().tickets(asker.token(), client, is_meant).tickets;
    TicketedReservation { reservation, tickets }
}

/// Arguments as they are stored and sent to workers, both in JSON: byte strings, which only
/// MessagePack has, take the form that JSON gives them.
fn as_json(args: Object) -> Object {
    match serde_json::to_value(&args).map(Value::from) {
        Ok(Value::Object(object)) => object,
        _ => args,
    }
}

fn rows(reservation: &ReservationAnswer) -> Vec<PythonRow> {
    reservation.boards.iter().map(row).collect()
}

fn row(board: &GrantedBoard) -> PythonRow {
    let (ip, serverport) = match board.url.parse::<Endpoint>() {
        Ok(endpoint) => {
            // The clients put the two together again, so an IPv6 address keeps its brackets.
            let authority = endpoint.authority();
            let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
            (host.to_owned(), endpoint.port())
        }
        Err(_) => (String::new(), 0),
    };
    PythonRow { serial: board.serial.clone(), url: board.url.clone(), ip, serverport }
}

/// Makes a command of whose leases are meant.
type Meant = fn(ClientName, Option<Vec<Serial>>, Option<InstanceId>) -> Command;

/// Whose leases, which of them, and of which process.
type Whose = (ClientName, Option<Vec<Serial>>, Option<InstanceId>);

impl Command {
    fn extend(
        client: ClientName,
        serials: Option<Vec<Serial>>,
        instance: Option<InstanceId>,
    ) -> Self {
        Self::Extend { client, serials, instance }
    }

    fn end(client: ClientName, serials: Option<Vec<Serial>>, instance: Option<InstanceId>) -> Self {
        Self::End { client, serials, instance }
    }
}

fn named_serials(
    context: &Arc<Context>,
    path: &'static str,
    meant: Meant,
) -> BoxedFilter<(Response,)> {
    call(context, path)
        .then(move |asker: Asker, _, args| async move {
            let whose = read(args, NamedSerials::read)
                .map(|body| (body.name, Some(body.serials), body.instance));
            answer(affected(&asker, path, meant, whose).await)
        })
        .boxed()
}

fn named(context: &Arc<Context>, path: &'static str, meant: Meant) -> BoxedFilter<(Response,)> {
    call(context, path)
        .then(move |asker: Asker, _, args| async move {
            let whose = read(args, Named::read).map(|body| (body.name, None, body.instance));
            answer(affected(&asker, path, meant, whose).await)
        })
        .boxed()
}

async fn affected(
    asker: &Asker,
    path: &str,
    meant: Meant,
    whose: Result<Whose, ApiError>,
) -> Result<Vec<Serial>, ApiError> {
    let (client, serials, instance) = whose?;
    let trail = asker.trail(path.trim_end_matches("all")).client(Some(&client));
    let trail = trail.serials(serials.as_deref().unwrap_or_default());
    asker.permit(Deed::Hold(&client), &trail).await?;
    match asker.submit_for(meant(client, serials, instance), trail).await? {
        Answer::Serials(serials) => Ok(serials),
        _ => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python_row(url: &str) -> (String, u16) {
        let board = GrantedBoard {
            serial: "A".parse().unwrap(),
            url: url.into(),
            lease: icefarm_core::LeaseId(1),
            expires_in_ms: 1,
            name: None,
        };
        let row = row(&board);
        (row.ip, row.serverport)
    }

    #[test]
    fn rows_say_the_address_in_two_ways() {
        assert_eq!(python_row("http://10.0.0.7:8081"), ("10.0.0.7".into(), 8081));
        assert_eq!(python_row("http://lab.example"), ("lab.example".into(), 80));
        assert_eq!(python_row("http://[fe80::1]:8081"), ("[fe80::1]".into(), 8081));
    }

    #[test]
    fn byte_strings_become_what_json_makes_of_them() {
        let args = Object::from([("file".into(), Value::Bytes(b"ice"[..].into()))]);
        let json = serde_json::to_value(as_json(args)).unwrap();
        assert_eq!(json, json!({"file": {"base64": "aWNl"}}));
    }
}
