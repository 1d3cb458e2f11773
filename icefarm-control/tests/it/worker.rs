//! A worker that takes leases as workers do, and does what a test wants beside that.

use crate::farm::Farm;
use crate::network::Net;
use icefarm_core::wire::{
    BoardReport, BoardStatus, BoardsReport, EndedLease, ErrorCode, ErrorDetail, HeartbeatAnswer,
    LeasePhase, LeaseReport, PROTOCOL, Registration, RegistrationAnswer,
};
use icefarm_core::{ArgSpec, ArgType, KindInfo, LeaseId, Object, Serial};
use icefarm_net::{
    ApiError, BodyLimits, Endpoint, HttpClient, Listener, RequestOptions, ServeOptions, answer,
    object, recover, serve,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;
use warp::Filter;

pub(crate) struct FakeWorker {
    shared: Arc<Shared>,
    port: u16,
    task: JoinHandle<()>,
}

struct Shared {
    name: String,
    control: Endpoint,
    http: HttpClient,
    state: Mutex<State>,
}

struct State {
    incarnation: String,
    boards: BTreeMap<String, BoardReport>,
    calls: Vec<String>,
    heartbeats: u32,
    /// Paths that are never answered.
    hanging: BTreeSet<&'static str>,
    /// Paths that are answered by an error.
    failing: BTreeMap<&'static str, ErrorCode>,
    /// Does not report by itself.
    quiet: bool,
    /// Its access token.
    token: Option<String>,
    /// Says that it is stopping.
    stops_in_ms: Option<u64>,
}

fn board(serial: &str) -> BoardReport {
    BoardReport {
        serial: serial.parse().unwrap(),
        status: BoardStatus::Available,
        reason: None,
        simulated: serial.starts_with("SIM"),
        labels: BTreeMap::new(),
        token: LeaseId(0),
        rev: 1,
        lease: None,
        ended: None,
    }
}

impl FakeWorker {
    /// A worker that listens and is not registered.
    pub(crate) async fn start(farm: &Farm, name: &str, boards: &[&str]) -> Self {
        Self::start_at(&farm.net, farm.control.clone(), 0, name, boards).await
    }

    pub(crate) async fn start_at(
        net: &Net,
        control: Endpoint,
        port: u16,
        name: &str,
        boards: &[&str],
    ) -> Self {
        let state = State {
            incarnation: format!("{name}-1"),
            boards: boards.iter().map(|serial| ((*serial).to_owned(), board(serial))).collect(),
            calls: Vec::new(),
            heartbeats: 0,
            hanging: BTreeSet::new(),
            failing: BTreeMap::new(),
            quiet: false,
            token: None,
            stops_in_ms: None,
        };
        let state = Mutex::new(state);
        let shared = Arc::new(Shared { name: name.into(), control, http: net.http(), state });
        let door = net.listen(port).await;
        let port = door.local_addr().unwrap().port();
        let worker = shared.clone();
        let route = warp::path::param::<String>()
            .and(warp::path::end())
            .and(warp::header::optional::<String>("authorization"))
            .and(object(BodyLimits::default()))
            .then(move |path: String, shown, body: Option<Object>| {
                let worker = worker.clone();
                async move { answer(worker.answer(&path, shown, body).await.map_err(ApiError)) }
            });
        let service = warp::service(route.recover(recover));
        let serving = serve(door, service, ServeOptions::default(), std::future::pending());
        Self { shared, port, task: tokio::spawn(serving) }
    }

    /// A registered worker whose boards can be reserved.
    pub(crate) async fn join(farm: &Farm, name: &str, boards: &[&str]) -> Self {
        let before = farm.available().await;
        let worker = Self::start(farm, name, boards).await;
        worker.register().await.unwrap();
        farm.until_available(before + boards.len() as u64).await;
        worker
    }

    pub(crate) fn registration(&self) -> Registration {
        let state = self.shared.state.lock().unwrap();
        let kind = KindInfo {
            kind: "pulse count".parse().unwrap(),
            crate_name: "a-crate".into(),
            crate_version: "0.1.0".into(),
            args: vec![ArgSpec::new("window", true).taking(ArgType::Number)],
        };
        Registration {
            name: self.shared.name.parse().unwrap(),
            url: None,
            port: self.port,
            version: "0.1.0".into(),
            protocol: PROTOCOL.into(),
            incarnation: state.incarnation.as_str().into(),
            secret: format!("secret-{}", state.incarnation),
            kinds: vec![kind],
            plugins: Vec::new(),
            boards: state.boards.values().cloned().collect(),
            stops_in_ms: state.stops_in_ms,
        }
    }

    pub(crate) async fn register(&self) -> Result<RegistrationAnswer, ErrorDetail> {
        let body = serde_json::to_value(self.registration()).unwrap();
        let mut options = RequestOptions::default();
        if let Some(token) = self.shared.state.lock().unwrap().token.clone() {
            options = options.bearer(token);
        }
        let shared = &self.shared;
        let sent = shared.http.post_json(&shared.control, "/worker/register", &body, &options);
        sent.await.map_err(|error| match error {
            icefarm_net::HttpError::Answer { error, .. } => error,
            other => panic!("{other}"),
        })
    }

    /// From now on it shows this token.
    pub(crate) fn show(&self, token: &str) {
        self.shared.state.lock().unwrap().token = Some(token.to_owned());
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Everything in its memory is gone.
    pub(crate) async fn restart(&self) {
        {
            let mut state = self.shared.state.lock().unwrap();
            state.incarnation.push('x');
            for report in state.boards.values_mut() {
                *report = board(report.serial.as_str());
            }
        }
        self.register().await.unwrap();
    }

    /// What control asked for, but heartbeats, since this was last asked.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.state.lock().unwrap().calls)
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().calls.clone()
    }

    pub(crate) fn heartbeats(&self) -> u32 {
        self.shared.state.lock().unwrap().heartbeats
    }

    pub(crate) fn serving(&self, serial: &str) -> Option<LeaseId> {
        let state = self.shared.state.lock().unwrap();
        state.boards.get(serial)?.lease.as_ref().map(|lease| lease.lease)
    }

    pub(crate) fn hang(&self, paths: &[&'static str]) {
        self.shared.state.lock().unwrap().hanging = paths.iter().copied().collect();
    }

    pub(crate) fn fail(&self, path: &'static str, code: Option<ErrorCode>) {
        let mut state = self.shared.state.lock().unwrap();
        match code {
            Some(code) => state.failing.insert(path, code),
            None => state.failing.remove(path),
        };
    }

    pub(crate) fn quiet(&self, quiet: bool) {
        self.shared.state.lock().unwrap().quiet = quiet;
    }

    /// The state of a board could not go on.
    pub(crate) fn give_up(&self, serial: &str, reason: &str) {
        let report = self.shared.change(serial, |report| {
            if let Some(lease) = report.lease.take() {
                report.ended = Some(EndedLease {
                    lease: lease.lease,
                    reason: reason.to_owned(),
                    code: None,
                    drained: false,
                });
                report.status = BoardStatus::Available;
            }
        });
        self.shared.tell(report.into_iter().collect(), Vec::new());
    }

    pub(crate) fn unplug(&self, serial: &str) {
        let gone = self.shared.state.lock().unwrap().boards.remove(serial);
        self.shared.tell(Vec::new(), gone.map(|report| report.serial).into_iter().collect());
    }

    /// It is stopping, and says so with its next heartbeat.
    pub(crate) fn stop_within(&self, ms: u64) {
        self.shared.state.lock().unwrap().stops_in_ms = Some(ms);
    }

    /// Ends in good order.
    pub(crate) async fn leave(self) -> u16 {
        let shared = &self.shared;
        let incarnation = shared.state.lock().unwrap().incarnation.clone();
        let options = RequestOptions::default().bearer(format!("secret-{incarnation}"));
        let report = BoardsReport {
            worker: shared.name.parse().unwrap(),
            incarnation: incarnation.into(),
            boards: Vec::new(),
            gone: Vec::new(),
            stops_in_ms: None,
            left: true,
        };
        let told =
            shared.http.post_json::<Value>(&shared.control, "/worker/boards", &report, &options);
        told.await.unwrap();
        self.kill()
    }

    /// Ends the process, as if the power were cut.
    pub(crate) fn kill(self) -> u16 {
        self.task.abort();
        self.port
    }
}

impl Drop for FakeWorker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn answer(
        self: &Arc<Self>,
        path: &str,
        shown: Option<String>,
        body: Option<Object>,
    ) -> Result<Value, ErrorDetail> {
        let (incarnation, hangs, failing) = {
            let state = self.state.lock().unwrap();
            let hangs = state.hanging.iter().any(|hanging| *hanging == path);
            (state.incarnation.clone(), hangs, state.failing.get(path).copied())
        };
        if shown != Some(format!("Bearer secret-{incarnation}")) {
            return Err(ErrorDetail::new(ErrorCode::Unauthorized, "who are you?"));
        }
        let body = serde_json::to_value(body.unwrap_or_default()).unwrap();
        if path == "delete" {
            self.give_up_what_is_served(body["serial"].as_str().unwrap()).await;
        }
        if path != "heartbeat" {
            let lease = body["lease"].as_u64().map_or(String::new(), |lease| format!(" {lease}"));
            let serial = body["serial"].as_str().unwrap();
            self.state.lock().unwrap().calls.push(format!("{path} {serial}{lease}"));
        }
        if hangs {
            std::future::pending::<()>().await;
        }
        if let Some(code) = failing {
            return Err(ErrorDetail::new(code, "the test wants it so"));
        }
        if path == "heartbeat" {
            self.state.lock().unwrap().heartbeats += 1;
            let boards = self.state.lock().unwrap().boards.values().cloned().collect();
            let worker = self.name.parse().unwrap();
            let stops_in_ms = self.state.lock().unwrap().stops_in_ms;
            let incarnation = incarnation.into();
            let answer = HeartbeatAnswer { worker, incarnation, boards, stops_in_ms };
            return Ok(serde_json::to_value(answer).unwrap());
        }
        self.act(path, &body)?;
        Ok(json!({}))
    }

    fn act(self: &Arc<Self>, path: &str, body: &Value) -> Result<(), ErrorDetail> {
        let serial = body["serial"].as_str().unwrap();
        let lease = LeaseId(body["lease"].as_u64().unwrap_or_default());
        let Some(token) = self.state.lock().unwrap().boards.get(serial).map(|board| board.token)
        else {
            return Err(ErrorDetail::new(ErrorCode::UnknownSerial, "no such board"));
        };
        let stale = || Err(ErrorDetail::new(ErrorCode::StaleLease, "a later lease was seen"));
        let report = match path {
            "reserve" if lease < token => return stale(),
            "reserve" if lease == token => match self.serving(serial) {
                true => None,
                false => return stale(),
            },
            "reserve" => self.change(serial, |report| {
                let client = body["client"].as_str().unwrap().parse().unwrap();
                report.token = lease;
                report.lease = Some(LeaseReport { lease, client, phase: LeasePhase::Ready });
                report.status = BoardStatus::Reserved;
            }),
            "end" if lease < token => return stale(),
            "end" => self.change(serial, |report| {
                report.token = lease;
                report.lease = None;
                report.ended = None;
                report.status = BoardStatus::Available;
            }),
            "delete" => {
                let gone = self.state.lock().unwrap().boards.remove(serial);
                self.tell(Vec::new(), gone.map(|report| report.serial).into_iter().collect());
                None
            }
            _ => None,
        };
        self.tell(report.into_iter().collect(), Vec::new());
        Ok(())
    }

    /// As workers do with a board that is to be deleted, as fast as that can be.
    async fn give_up_what_is_served(self: &Arc<Self>, serial: &str) {
        if !self.state.lock().unwrap().boards.contains_key(serial) || !self.serving(serial) {
            return;
        }
        let report = self.change(serial, |report| {
            if let Some(lease) = report.lease.take() {
                let reason = "the worker deletes it".to_owned();
                report.ended =
                    Some(EndedLease { lease: lease.lease, reason, code: None, drained: false });
            }
        });
        self.send(report.into_iter().collect(), Vec::new()).await;
    }

    fn serving(&self, serial: &str) -> bool {
        self.state.lock().unwrap().boards[serial].lease.is_some()
    }

    fn change(&self, serial: &str, change: impl FnOnce(&mut BoardReport)) -> Option<BoardReport> {
        let mut state = self.state.lock().unwrap();
        let report = state.boards.get_mut(serial)?;
        change(report);
        report.rev += 1;
        Some(report.clone())
    }

    /// Reports to control, unless the test wants heartbeats to do it.
    fn tell(self: &Arc<Self>, boards: Vec<BoardReport>, gone: Vec<Serial>) {
        let quiet = self.state.lock().unwrap().quiet;
        if quiet || (boards.is_empty() && gone.is_empty()) {
            return;
        }
        let shared = self.clone();
        tokio::spawn(async move { shared.send(boards, gone).await });
    }

    async fn send(&self, boards: Vec<BoardReport>, gone: Vec<Serial>) {
        let incarnation = self.state.lock().unwrap().incarnation.clone();
        let options = RequestOptions::default().bearer(format!("secret-{incarnation}"));
        let (worker, incarnation) = (self.name.parse().unwrap(), incarnation.into());
        let (stops_in_ms, left) = (None, false);
        let report = BoardsReport { worker, incarnation, boards, gone, stops_in_ms, left };
        // Control may be away; the next heartbeat says it again.
        let _ =
            self.http.post_json::<Value>(&self.control, "/worker/boards", &report, &options).await;
    }
}
