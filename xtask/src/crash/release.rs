//! A client is killed, and others want its boards.

use super::farm::{BOARDS, Farm};
use super::plan::Plan;
use super::round::{Ground, client};
use crate::Result;
use std::thread;
use std::time::{Duration, Instant};

/// So soon the boards of a killed client must be ready for others.
const LIMIT: Duration = Duration::from_secs(90);
/// So much longer they are waited for, to tell late from never.
const BEYOND: Duration = Duration::from_secs(60);
/// How long a client may take to its first readings.
const PATIENCE: Duration = Duration::from_secs(120);

/// Kills a client amid its work, and says when.
pub(super) fn kill_a_client(farm: &Farm, ground: &Ground, plan: &Plan) -> Result<Instant> {
    let mut client = client(farm, ground, "killed")?;
    let until = Instant::now() + PATIENCE;
    for got in 0..=plan.client_readings {
        match client.line(until) {
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => {
                return Err(format!("the client to be killed stopped after {got} readings").into());
            }
        }
    }
    thread::sleep(plan.client_delay);
    client.kill()?;
    let killed = Instant::now();
    // Else there would be nothing to wait for.
    if farm.available()? == BOARDS {
        return Err("the client to be killed held no boards when it was".into());
    }
    Ok(killed)
}

/// How long the boards took from then on.
pub(super) fn wait(
    farm: &Farm,
    killed: Instant,
    violations: &mut Vec<String>,
) -> Result<Option<Duration>> {
    if !farm.wait_for_boards(BOARDS, killed + LIMIT + BEYOND)? {
        violations.push(format!(
            "the boards of a killed client were not available after {} s",
            (LIMIT + BEYOND).as_secs()
        ));
        return Ok(None);
    }
    // Available is what is said; that they can be reserved is what counts.
    let boards = BOARDS.to_string();
    let mut other = farm.client(&["reserve", &boards, "--name", "other", "--json"]);
    let output = other.output()?;
    let took = killed.elapsed();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        violations.push(format!("the boards of a killed client cannot be reserved: {said}"));
    } else if took > LIMIT {
        violations.push(format!(
            "the boards of a killed client were ready after {:.1} s, and may take {}",
            took.as_secs_f64(),
            LIMIT.as_secs()
        ));
    }
    Ok(Some(took))
}
