//! What goes wrong with a farm, when it does, and whether the farm comes to rest afterwards.

use crate::dice::Dice;
use crate::farm::Farm;
use crate::plan::{BoardFault, Deed, Plan};
use crate::run::has_panicked;
use crate::witness::{self, Invariant, Tally, note};
use icefarm_core::wire::BoardStatus;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use turmoil::{Protocol, Segment, Sim};

/// How long the farm has to come to rest when nothing goes wrong any more.
const REST: Duration = Duration::from_secs(400);
/// How far a clock is set wrong at most.
const FURTHEST: Duration = Duration::from_secs(60);
/// How late control may be that has all it needs.
const PUNCTUAL: Duration = Duration::from_secs(5);

/// What ends something that went wrong.
#[derive(Debug, Clone)]
enum Undo {
    Start(String),
    Repair(String, String),
    RepairOneWay(String, String),
    Release(String, String),
    GoOn(String, String),
    Rejoin(String),
    Writes,
    Plug(usize, usize),
}

/// A storm and its end.
pub(crate) struct Weather<'p> {
    plan: &'p Plan,
    farm: Farm,
    dice: Dice,
    next: usize,
    undo: BTreeMap<(Duration, u64), Undo>,
    undone: u64,
    is_calm: bool,
    /// Since when control has been able to do its work.
    well: Option<Duration>,
    /// Whether control's clock was set while it was down.
    has_jumped: bool,
    /// Connections on which nothing gets through, by the machines at their ends.
    stalls: BTreeMap<(String, String), Stall>,
}

/// Some connections between two machines stand still, and the others do not.
struct Stall {
    /// How likely one does, in percent.
    percent: u64,
    /// Whether the connections do that have had something to say, by the direction.
    chosen: BTreeMap<(SocketAddr, SocketAddr), bool>,
}

impl<'p> Weather<'p> {
    pub(crate) fn new(plan: &'p Plan, farm: Farm) -> Self {
        Self {
            plan,
            farm,
            dice: Dice::new(plan.seed, "weather"),
            next: 0,
            undo: BTreeMap::new(),
            undone: 0,
            is_calm: false,
            well: None,
            has_jumped: false,
            stalls: BTreeMap::new(),
        }
    }
}

impl Weather<'_> {
    /// Lets the farm live through it, and waits until it has come to rest.
    pub(crate) fn pass(
        &mut self,
        sim: &mut Sim<'static>,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let end = self.plan.calm_at + REST;
        loop {
            witness::set_time(Some(sim.elapsed()));
            if sim.elapsed() >= self.plan.calm_at && !self.is_calm {
                self.calm(sim);
            }
            if !self.is_calm {
                self.change(sim);
                self.let_through(sim);
            }
            witness::set_time(None);
            let stepped = sim.step();
            witness::set_time(Some(sim.elapsed()));
            stepped?;
            self.look(sim);
            if witness::with(|witness| witness.broken.is_some()) || has_panicked() {
                return Ok(());
            }
            if witness::with(|witness| witness.take_silence()) {
                self.die_in_transaction(sim);
            }
            if self.is_calm {
                self.keep_running(sim);
                let unrest = self.unrest();
                if unrest.is_empty() {
                    note!("the farm is at rest");
                    return Ok(());
                }
                if sim.elapsed() > end {
                    let seconds = REST.as_secs();
                    let unrest = unrest.join("; ");
                    let what = format_args!("{seconds} s after the storm: {unrest}");
                    witness::with(|w| w.broken(Invariant::Convergence, what));
                    return Ok(());
                }
            }
        }
    }

    /// Lets the witness look whether control does what it must when it can.
    fn look(&mut self, sim: &mut Sim<'static>) {
        if !sim.is_host_running("control") || !self.farm.disk.is_well() {
            self.well = None;
            return;
        }
        let well = *self.well.get_or_insert(sim.elapsed()) + self.plan.startup_grace;
        // Leases and requests end by the wall clock after a restart.
        let jump = if self.has_jumped { 2 * FURTHEST } else { Duration::ZERO };
        witness::with(|witness| witness.look(well, jump + PUNCTUAL));
    }

    /// What is due goes wrong, or is set right.
    fn change(&mut self, sim: &mut Sim<'static>) {
        let now = sim.elapsed();
        while let Some(entry) = self.undo.first_entry().filter(|entry| entry.key().0 <= now) {
            let undo = entry.remove();
            self.set_right(sim, undo);
        }
        while let Some((at, deed)) = self.plan.deeds.get(self.next) {
            if *at > now {
                break;
            }
            self.next += 1;
            self.go_wrong(sim, deed.clone(), now);
        }
    }

    fn later(&mut self, at: Duration, undo: Undo) {
        self.undone += 1;
        self.undo.insert((at, self.undone), undo);
    }

    fn go_wrong(&mut self, sim: &mut Sim<'static>, deed: Deed, now: Duration) {
        note!("storm: {deed:?}");
        let tally = |count: fn(&mut Tally)| witness::with(|witness| count(&mut witness.tally));
        match deed {
            Deed::Crash { host, down } => {
                if !sim.is_host_running(host.as_str()) {
                    return;
                }
                self.crash(sim, &host);
                self.later(now + down, Undo::Start(host));
            }
            Deed::Stop { host, down } => {
                self.farm.stops[&host].send_modify(|stops| *stops += 1);
                self.later(now + down, Undo::Start(host));
            }
            Deed::CrashInTransaction { crash, down } => {
                self.farm.disk.crash_at_next(crash);
                self.later(now + down + Duration::from_secs(5), Undo::Start("control".into()));
            }
            Deed::Partition { a, b, lasts } => {
                tally(|tally| tally.partitions += 1);
                sim.partition(a.as_str(), b.as_str());
                self.later(now + lasts, Undo::Repair(a, b));
            }
            Deed::OneWay { from, to, lasts } => {
                tally(|tally| tally.partitions += 1);
                sim.partition_oneway(from.as_str(), to.as_str());
                self.later(now + lasts, Undo::RepairOneWay(from, to));
            }
            Deed::Isolate { host, lasts } => {
                tally(|tally| tally.partitions += 1);
                self.isolate(sim, &host);
                self.later(now + lasts, Undo::Rejoin(host));
            }
            Deed::Hold { a, b, lasts } => {
                tally(|tally| tally.holds += 1);
                sim.hold(a.as_str(), b.as_str());
                self.later(now + lasts, Undo::Release(a, b));
            }
            Deed::Stall { a, b, percent, lasts } => {
                tally(|tally| tally.stalls += 1);
                sim.hold(a.as_str(), b.as_str());
                let stall = Stall { percent, chosen: BTreeMap::new() };
                self.stalls.insert((a.clone(), b.clone()), stall);
                self.later(now + lasts, Undo::GoOn(a, b));
            }
            Deed::FailWrites { lasts } => {
                self.farm.disk.fail(true);
                self.later(now + lasts, Undo::Writes);
            }
            Deed::Board { worker, board, fault } => {
                let boards = self.farm.buses[worker].all();
                match fault {
                    BoardFault::Unplug { lasts } => {
                        tally(|tally| tally.unplugs += 1);
                        boards[board].unplug();
                        self.later(now + lasts, Undo::Plug(worker, board));
                    }
                    BoardFault::Hang => boards[board].hang(),
                    BoardFault::Stall => boards[board].stall(),
                    BoardFault::Garbage => boards[board].garbage(),
                }
                if !matches!(fault, BoardFault::Unplug { .. }) {
                    tally(|tally| tally.board_faults += 1);
                }
            }
        }
    }

    fn crash(&mut self, sim: &mut Sim<'static>, host: &str) {
        witness::with(|witness| {
            let tally = &mut witness.tally;
            match host.as_bytes() {
                b"control" => tally.control_crashes += 1,
                [b'w', ..] => tally.worker_crashes += 1,
                _ => tally.client_crashes += 1,
            }
        });
        sim.crash(host);
        // What the process knew is gone with it.
        if let Some(number) = host.strip_prefix('c').and_then(|n| n.parse::<usize>().ok()) {
            let name = &self.farm.characters[number].name;
            witness::with(|witness| witness.process_gone(name));
        }
    }

    /// Control has died in a transaction: nothing that it has said since reaches anybody.
    fn die_in_transaction(&mut self, sim: &mut Sim<'static>) {
        witness::with(|witness| witness.tally.lost_transactions += 1);
        self.isolate(sim, "control");
        self.crash(sim, "control");
        self.rejoin(sim, "control");
        let soon = sim.elapsed() + Duration::from_millis(500);
        if !self.undo.values().any(|undo| matches!(undo, Undo::Start(host) if host == "control")) {
            self.later(soon, Undo::Start("control".to_owned()));
        }
    }

    /// Delivers what is not on a connection that stands still. Whether one does is decided when it
    /// first carries more than its own beginning.
    fn let_through(&mut self, sim: &Sim<'static>) {
        let Self { stalls, dice, .. } = self;
        for ((a, b), stall) in stalls {
            let (ip_a, ip_b) = (sim.lookup(a.as_str()), sim.lookup(b.as_str()));
            sim.links(|links| {
                for link in links.filter(|link| link.pair() == (ip_a.min(ip_b), ip_a.max(ip_b))) {
                    for sent in link {
                        let pair = sent.pair();
                        let has_begun = matches!(sent.protocol(), Protocol::Tcp(Segment::Data(..)));
                        let stands = match stall.chosen.get(&pair) {
                            Some(stands) => *stands,
                            None => {
                                has_begun && {
                                    let stands = dice.percent(stall.percent);
                                    stall.chosen.insert(pair, stands);
                                    stands
                                }
                            }
                        };
                        if !stands {
                            sent.deliver();
                        }
                    }
                }
            });
        }
    }

    fn isolate(&self, sim: &Sim<'static>, host: &str) {
        for other in self.plan.hosts().iter().filter(|other| *other != host) {
            sim.partition(host, other.as_str());
        }
    }

    fn rejoin(&self, sim: &Sim<'static>, host: &str) {
        for other in self.plan.hosts().iter().filter(|other| *other != host) {
            sim.repair(host, other.as_str());
        }
    }

    fn set_right(&mut self, sim: &mut Sim<'static>, undo: Undo) {
        note!("storm: {undo:?}");
        match undo {
            Undo::Start(host) => self.start(sim, &host),
            Undo::Repair(a, b) => sim.repair(a.as_str(), b.as_str()),
            Undo::RepairOneWay(from, to) => sim.repair_oneway(from.as_str(), to.as_str()),
            Undo::Release(a, b) => self.release(sim, &a, &b),
            Undo::GoOn(a, b) => {
                sim.release(a.as_str(), b.as_str());
                self.stalls.remove(&(a, b));
            }
            Undo::Rejoin(host) => self.rejoin(sim, &host),
            Undo::Writes => self.farm.disk.fail(false),
            Undo::Plug(worker, board) => self.farm.buses[worker].all()[board].plug(),
        }
    }

    /// Starts a machine that is down. Its clock may have been set meanwhile.
    fn start(&mut self, sim: &mut Sim<'static>, host: &str) {
        if sim.is_host_running(host) {
            return;
        }
        if let Some(clock) = self.farm.clocks.get(host)
            && self.dice.percent(50)
        {
            let furthest = FURTHEST.as_secs();
            let seconds = self.dice.between(0, 2 * furthest) as i64 - furthest as i64;
            self.has_jumped |= host == "control";
            note!("storm: the clock of {host} is {seconds} s off");
            witness::with(|witness| witness.tally.clock_jumps += 1);
            clock.skew(seconds * 1000);
        }
        sim.bounce(host);
    }

    /// Delivers what was kept back between two machines, half of the time in another order than
    /// it was sent in: connections overtake each other.
    fn release(&mut self, sim: &mut Sim<'static>, a: &str, b: &str) {
        if self.dice.percent(50) {
            let (ip_a, ip_b) = (sim.lookup(a), sim.lookup(b));
            let dice = &mut self.dice;
            sim.links(|links| {
                for link in links.filter(|link| link.pair() == (ip_a.min(ip_b), ip_a.max(ip_b))) {
                    let mut connections: BTreeMap<_, bool> = BTreeMap::new();
                    for sent in link {
                        let first =
                            *connections.entry(sent.pair()).or_insert_with(|| dice.percent(50));
                        if first {
                            sent.deliver();
                        }
                    }
                }
            });
            // The others follow in a second.
            let at = sim.elapsed() + Duration::from_secs(1);
            let (a, b) = (a.to_string(), b.to_string());
            self.later(at, Undo::Repair(a.clone(), b.clone()));
            self.later(at, Undo::Release(a, b));
        } else {
            sim.release(a, b);
        }
    }

    /// The storm is over: everything is set right.
    fn calm(&mut self, sim: &mut Sim<'static>) {
        note!("storm: it is over");
        self.is_calm = true;
        self.undo.clear();
        self.stalls.clear();
        let hosts = self.plan.hosts();
        for (at, a) in hosts.iter().enumerate() {
            for b in &hosts[at + 1..] {
                sim.release(a.as_str(), b.as_str());
                sim.repair(a.as_str(), b.as_str());
            }
        }
        self.farm.disk.calm();
        for bus in &self.farm.buses {
            for board in bus.all() {
                board.plug();
            }
        }
        for host in hosts {
            self.start(sim, &host);
        }
        self.farm.calm.send_replace(true);
    }

    /// A program that was still stopping when the storm was over is started again as well.
    fn keep_running(&mut self, sim: &mut Sim<'static>) {
        for host in self.plan.hosts() {
            self.start(sim, &host);
        }
    }

    /// What is not at rest yet.
    fn unrest(&self) -> Vec<String> {
        let mut unrest = Vec::new();
        for character in &self.farm.characters {
            if !*character.finished.borrow() {
                unrest.push(format!("{} is not finished", character.name));
            }
        }
        if !unrest.is_empty() {
            return unrest;
        }
        match self.farm.report.lock().ok().and_then(|report| report.clone()) {
            None => unrest.push("control does not answer".to_owned()),
            Some(boards) => {
                let all: usize = self.plan.workers.iter().sum();
                if boards.len() != all {
                    unrest.push(format!("{} of {all} boards are known", boards.len()));
                }
                for (serial, status, reason) in boards {
                    let broken = status == BoardStatus::Broken && reason.is_some();
                    if status != BoardStatus::Available && !broken {
                        unrest.push(format!("{serial} is {status}: {reason:?}"));
                    }
                }
            }
        }
        witness::with(|witness| {
            unrest.extend(witness.open_leases().into_iter().map(|lease| format!("lease {lease}")));
            unrest.extend(witness.line());
            unrest.extend(witness.behind());
        });
        unrest
    }
}
