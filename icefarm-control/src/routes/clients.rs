//! What clients call: reserve, extend, end.

use super::{Context, call, get_or_post, read};
use crate::machine::{Answer, Command};
use icefarm_core::wire::{
    GrantedBoard, Named, NamedSerials, PythonRow, QueuedAnswer, ReservationAnswer, ReserveAnswer,
    ReserveRequest,
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
    let counted = context.clone();
    let available = warp::path!("available")
        .and(get_or_post())
        .map(move |_| json(&json!({ "amount": counted.ledger.farm().offered().len() })));
    let listed = context.clone();
    let devices = warp::path!("devices").and(get_or_post()).map(move |_| {
        let farm = listed.ledger.farm();
        let serials: Vec<&Serial> =
            farm.offered().into_iter().map(|board| board.serial()).collect();
        json(&serials)
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
        .then(move |context: Arc<Context>, method, args, full| async move {
            let reserved = match read(args, reader) {
                Ok(request) => grant(&context, request).await,
                Err(error) => Err(error),
            };
            match reserved {
                Err(error) => answer(Err::<(), _>(error)),
                Ok(ReserveAnswer::Queued(queued)) => accepted(&queued),
                Ok(ReserveAnswer::Granted(reservation)) if full => json(&reservation),
                // Whoever reserves by GET is one of the Python clients, which read rows.
                Ok(ReserveAnswer::Granted(reservation)) if method == Method::GET => {
                    json(&rows(&reservation))
                }
                Ok(ReserveAnswer::Granted(reservation)) => json(&reservation.to_map()),
            }
        })
        .boxed()
}

async fn grant(context: &Context, mut request: ReserveRequest) -> Result<ReserveAnswer, ApiError> {
    request.args = as_json(request.args);
    let reservation = ReservationId::from((context.ids)());
    let command = Command::Reserve { request: Box::new(request), reservation: reservation.clone() };
    match context.submit(command).await? {
        Answer::Reserved(answer) => Ok(ReserveAnswer::Granted(answer)),
        Answer::Queued(queued) => Ok(ReserveAnswer::Queued(QueuedAnswer { queued })),
        _ => Ok(ReserveAnswer::Granted(ReservationAnswer { reservation, boards: Vec::new() })),
    }
}

/// The request waits.
fn accepted(queued: &QueuedAnswer) -> Response {
    let mut response = json(queued);
    if response.status().is_success() {
        *response.status_mut() = StatusCode::ACCEPTED;
    }
    response
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
        .then(move |context: Arc<Context>, _, args| async move {
            let command = read(args, NamedSerials::read)
                .map(|body| meant(body.name, Some(body.serials), body.instance));
            answer(affected(&context, command).await)
        })
        .boxed()
}

fn named(context: &Arc<Context>, path: &'static str, meant: Meant) -> BoxedFilter<(Response,)> {
    call(context, path)
        .then(move |context: Arc<Context>, _, args| async move {
            let command = read(args, Named::read).map(|body| meant(body.name, None, body.instance));
            answer(affected(&context, command).await)
        })
        .boxed()
}

async fn affected(
    context: &Context,
    command: Result<Command, ApiError>,
) -> Result<Vec<Serial>, ApiError> {
    match context.submit(command?).await? {
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
