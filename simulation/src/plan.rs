//! What a seed decides beforehand: the farm, and what goes wrong with it when.

use crate::dice::Dice;
use crate::disk::Crash;
use std::time::Duration;

/// A farm and its storm.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// How far the simulation moves at a time.
    pub(crate) tick: Duration,
    /// The longest that a message is under way while all is well.
    pub(crate) latency: Duration,
    /// How many boards each worker has.
    pub(crate) workers: Vec<usize>,
    /// The priority of each client when it waits for boards.
    pub(crate) clients: Vec<i32>,
    /// When the storm is over.
    pub(crate) calm_at: Duration,
    /// What goes wrong, in order.
    pub(crate) deeds: Vec<(Duration, Deed)>,
    /// How often clients command boards that they do not hold, in percent of their chances.
    pub(crate) strays: u64,
    /// How likely an image is not taken by a board, in percent.
    pub(crate) bad_flash: u64,
    /// How likely what control tells a worker comes a second time, late, in percent.
    pub(crate) echoes: u64,
    pub(crate) startup_grace: Duration,
    pub(crate) lost_after: Duration,
    /// For how long a request waits whose process is silent.
    pub(crate) wait_silence: Duration,
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    /// A machine dies, and comes back after a while.
    Crash { host: String, down: Duration },
    /// A program is asked to stop, and is started again after a while.
    Stop { host: String, down: Duration },
    /// Control dies in its next transaction.
    CrashInTransaction { crash: Crash, down: Duration },
    /// Two machines do not reach each other.
    Partition { a: String, b: String, lasts: Duration },
    /// What one sends does not reach the other.
    OneWay { from: String, to: String, lasts: Duration },
    /// A machine reaches nobody.
    Isolate { host: String, lasts: Duration },
    /// What two send each other is kept back, and delivered late.
    Hold { a: String, b: String, lasts: Duration },
    /// Some connections between two machines stand still, and what was sent on them comes late.
    Stall { a: String, b: String, percent: u64, lasts: Duration },
    /// Control cannot write.
    FailWrites { lasts: Duration },
    /// Something happens to a board.
    Board { worker: usize, board: usize, fault: BoardFault },
}

/// What happens to a board.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BoardFault {
    Unplug { lasts: Duration },
    Hang,
    Stall,
    Garbage,
}

/// The longest that anything is down, cut off or kept back.
pub(crate) const LONGEST: Duration = Duration::from_secs(50);

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed, "plan");
        let workers: Vec<usize> = (0..dice.between(1, 3)).map(|_| 1 + dice.below(2)).collect();
        let clients: Vec<i32> =
            (0..dice.between(2, 4)).map(|_| *dice.pick(&[0, 0, 0, 1])).collect();
        let storm = dice.millis(30_000, 100_000);
        // Some farms suffer from one thing only, and some from everything.
        let appetite: Vec<u64> = (0..6).map(|_| *dice.pick(&[0, 1, 1, 3])).collect();
        let all: u64 = appetite.iter().sum();
        let count = if all == 0 { 0 } else { dice.between(2, 14) };
        let mut deeds: Vec<(Duration, Deed)> = (0..count)
            .map(|_| {
                let at = dice.millis(2_000, storm.as_millis() as u64);
                let mut choice = dice.next() % all;
                let kind = appetite.iter().position(|weight| {
                    let here = choice < *weight;
                    choice = choice.saturating_sub(*weight);
                    here
                });
                (at, deed(kind.unwrap_or(0), &workers, clients.len(), &mut dice))
            })
            .collect();
        deeds.sort_by_key(|(at, _)| *at);
        Self {
            seed,
            tick: Duration::from_millis(*dice.pick(&[10, 20, 20, 25])),
            latency: Duration::from_millis(*dice.pick(&[5, 20, 50, 200, 1000])),
            workers,
            clients,
            calm_at: storm,
            deeds,
            strays: *dice.pick(&[0, 5, 20]),
            echoes: *dice.pick(&[0, 10, 40]),
            bad_flash: *dice.pick(&[0, 0, 3]),
            startup_grace: Duration::from_secs(*dice.pick(&[10, 30, 60])),
            lost_after: Duration::from_secs(*dice.pick(&[20, 40, 180])),
            wait_silence: Duration::from_secs(*dice.pick(&[15, 30, 60])),
        }
    }

    /// The names of all machines that take part.
    pub(crate) fn hosts(&self) -> Vec<String> {
        hosts(self.workers.len(), self.clients.len())
    }
}

fn hosts(workers: usize, clients: usize) -> Vec<String> {
    let workers = (0..workers).map(|n| format!("w{n}"));
    let clients = (0..clients).map(|n| format!("c{n}"));
    ["control".to_owned()].into_iter().chain(workers).chain(clients).collect()
}

fn deed(kind: usize, workers: &[usize], clients: usize, dice: &mut Dice) -> Deed {
    let hosts = hosts(workers.len(), clients);
    let two = |dice: &mut Dice| {
        let mut pair = hosts.clone();
        dice.shuffle(&mut pair);
        (pair[0].clone(), pair[1].clone())
    };
    let longest = LONGEST.as_millis() as u64;
    let lasts = match dice.below(3) {
        0 => dice.millis(200, 5_000),
        1 => dice.millis(3_000, 20_000),
        _ => dice.millis(15_000, longest),
    };
    match kind {
        0 => {
            let host = dice.pick(&hosts).clone();
            if dice.percent(20) && !host.starts_with('c') || host == "control" && dice.percent(20) {
                return Deed::Stop { host, down: lasts };
            }
            Deed::Crash { host, down: lasts }
        }
        1 => match dice.below(4) {
            0 => Deed::Isolate { host: dice.pick(&hosts).clone(), lasts },
            1 => {
                let (from, to) = two(dice);
                Deed::OneWay { from, to, lasts }
            }
            _ => {
                let (a, b) = two(dice);
                Deed::Partition { a, b, lasts }
            }
        },
        2 => {
            let (mut a, mut b) = two(dice);
            if dice.percent(50) {
                // Most that matters is said between these.
                let worker = dice.below(workers.len());
                (a, b) = ("control".to_owned(), format!("w{worker}"));
            }
            if dice.percent(60) {
                let percent = *dice.pick(&[10, 30, 60]);
                return Deed::Stall { a, b, percent, lasts };
            }
            Deed::Hold { a, b, lasts }
        }
        3 => match dice.below(3) {
            0 => Deed::FailWrites { lasts: dice.millis(50, 8_000) },
            1 => Deed::CrashInTransaction { crash: Crash::Before, down: lasts },
            _ => Deed::CrashInTransaction { crash: Crash::After, down: lasts },
        },
        _ => {
            let worker = dice.below(workers.len());
            let board = dice.below(workers[worker]);
            let fault = match dice.below(5) {
                0 | 1 => BoardFault::Unplug { lasts: dice.millis(100, longest) },
                2 => BoardFault::Hang,
                3 => BoardFault::Stall,
                _ => BoardFault::Garbage,
            };
            Deed::Board { worker, board, fault }
        }
    }
}
