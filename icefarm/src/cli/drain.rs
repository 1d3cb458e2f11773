//! `drain` and `undrain`: workers and boards go out of service, and come back.

use super::args::{ClientArgs, DrainArgs, UndrainArgs};
use super::print;
use super::server::{Control, Fault, escaped, run};
use icefarm_core::Serial;
use icefarm_core::wire::{DrainAnswer, ErrorCode, WorkerDetail};
use serde_json::json;
use std::process::ExitCode;

pub(crate) fn drain(args: DrainArgs) -> ExitCode {
    run(put(args.client, args.names, !args.off, args.output.json))
}

pub(crate) fn undrain(args: UndrainArgs) -> ExitCode {
    run(put(args.client, args.names, false, args.output.json))
}

async fn put(client: ClientArgs, names: Vec<String>, on: bool, json: bool) -> Result<(), Fault> {
    let control = Control::of(&client)?;
    let workers: Vec<WorkerDetail> = control.get("/v1/workers").await?;
    for name in names {
        let is_worker = workers.iter().any(|worker| worker.name.as_str() == name);
        let answer = match ask(&control, is_worker, &name, on).await {
            // A worker that was forgotten can still be taken back into service.
            Err(Fault::Http(error)) if error.code() == Some(ErrorCode::UnknownSerial) => {
                match ask(&control, true, &name, on).await {
                    Err(Fault::Http(error)) if error.code() == Some(ErrorCode::NotFound) => {
                        return Err(Fault::Nothing { name });
                    }
                    answer => answer?,
                }
            }
            answer => answer?,
        };
        if json {
            print::json(&answer);
        } else {
            print::line(&told(&name, &answer));
        }
    }
    Ok(())
}

async fn ask(control: &Control, worker: bool, name: &str, on: bool) -> Result<DrainAnswer, Fault> {
    let sort = if worker { "workers" } else { "boards" };
    let path = format!("/v1/{sort}/{}/drain", escaped(name));
    control.post(&path, &json!({ "on": on })).await
}

fn told(name: &str, answer: &DrainAnswer) -> String {
    let is_worker = answer.worker.is_some();
    let what = if is_worker { "worker" } else { "board" };
    if !answer.draining {
        return format!("{what} {name} is back in service");
    }
    let held: Vec<_> = answer.held.iter().map(Serial::as_str).collect();
    match held.as_slice() {
        [] => format!("{what} {name} is out of service, and nobody holds it"),
        [_] if !is_worker => format!("{what} {name} is out of service once its holder is done"),
        _ => format!(
            "{what} {name} is out of service once these boards are given back: {}",
            held.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_learn_what_is_still_held() {
        let answer = |worker: Option<&str>, draining, held: &[&str]| DrainAnswer {
            serial: None,
            worker: worker.map(|worker| worker.parse().unwrap()),
            draining,
            held: held.iter().map(|serial| serial.parse().unwrap()).collect(),
        };
        let back = told("w", &answer(Some("w"), false, &["A"]));
        assert_eq!(back, "worker w is back in service");
        let nobody = "board A is out of service, and nobody holds it";
        assert_eq!(told("A", &answer(None, true, &[])), nobody);
        let once = "board A is out of service once its holder is done";
        assert_eq!(told("A", &answer(None, true, &["A"])), once);
        let both = told("w", &answer(Some("w"), true, &["A", "B"]));
        assert!(both.ends_with("given back: A, B"), "{both}");
    }
}
