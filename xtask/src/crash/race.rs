//! Two clients want the last board at the same moment.

use super::farm::{BOARDS, Farm};
use super::process::Process;
use crate::Result;
use std::time::{Duration, Instant};

/// Races of each round.
const RACES: usize = 3;
/// How long either client may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// Lets two clients race for the last board, a few times: one gets it and the other one waits,
/// and has it as soon as the first one gives it back. Says how many races went so.
pub(super) fn run(farm: &Farm, violations: &mut Vec<String>) -> Result<usize> {
    let until = Instant::now() + PATIENCE;
    if !farm.wait_for_boards(BOARDS, until)? {
        violations.push("the boards of a client that has ended did not become available".into());
        return Ok(0);
    }
    let others = (BOARDS - 1).to_string();
    let held = farm.client(&["reserve", &others, "--name", "holder"]).output()?;
    if !held.status.success() {
        let said = String::from_utf8_lossy(&held.stderr).trim().to_owned();
        violations.push(format!("all boards but one could not be reserved: {said}"));
        return Ok(0);
    }
    let mut good = 0;
    for _ in 0..RACES {
        match race(farm) {
            Ok(()) => good += 1,
            Err(error) => violations.push(format!("a race for the last board: {error}")),
        }
    }
    let given_back = farm.client(&["end", "--all", "--name", "holder"]).output()?;
    if !given_back.status.success() {
        violations.push("the boards beside the last one could not be given back".into());
    }
    if !farm.wait_for_boards(BOARDS, Instant::now() + PATIENCE)? {
        violations.push("the boards did not come back after the races".into());
    }
    Ok(good)
}

fn race(farm: &Farm) -> Result {
    let until = Instant::now() + PATIENCE;
    // Each holds the board for as long as its command runs. Only one of two commands can make the
    // folder, so one that runs beside the other fails.
    let inside = farm.log("holds-the-last-board");
    let enter = |name: &str| {
        let args = ["reserve", "1", "--wait", "80", "--name", name];
        let mut command = farm.client(&args);
        command.args(["--", "sh", "-c", "mkdir \"$0\" && sleep 0.3 && rmdir \"$0\" && echo done"]);
        command.arg(&inside);
        Process::start(&mut command, &farm.log("race.log"))
    };
    let mut racers = [("alice", enter("alice")?), ("bob", enter("bob")?)];
    for (name, racer) in &mut racers {
        let mut said = Vec::new();
        while let Ok(Some(line)) = racer.line(until) {
            said.push(line);
        }
        match racer.ended(until.max(Instant::now() + Duration::from_secs(1)))? {
            Some(status) if status.success() && said == ["done"] => {}
            Some(status) => return Err(format!("{name} ended with {status}, {said:?}").into()),
            None => return Err(format!("{name} did not get its turn").into()),
        }
    }
    Ok(())
}
