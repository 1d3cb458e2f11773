//! `icefarm label`: what boards are called.

use super::args::LabelArgs;
use super::print;
use super::server::{Control, Fault, escaped, run};
use super::table::clean;
use icefarm_core::wire::BoardLabels;
use serde_json::json;
use std::collections::BTreeMap;
use std::process::ExitCode;

pub(crate) fn main(args: LabelArgs) -> ExitCode {
    run(async {
        let (set, remove) = read(&args.labels)?;
        let control = Control::of(&args.client)?;
        let path = format!("/v1/boards/{}/label", escaped(&control.serial(&args.serial).await?));
        let body = json!({"set": set, "remove": remove});
        let labels: BoardLabels = control.post(&path, &body).await?;
        if args.output.json {
            print::json(&labels);
            return Ok(());
        }
        let name = labels.name.map(|name| ("name".to_owned(), name));
        let all: Vec<_> = name.into_iter().chain(labels.labels).collect();
        if all.is_empty() {
            print::line(&format!("Board {} has no labels.", labels.serial));
        }
        for (key, value) in all {
            print::line(&clean(&format!("{key}={value}")));
        }
        Ok(())
    })
}

/// What a board is to get and to lose.
fn read(labels: &[String]) -> Result<(BTreeMap<&str, &str>, Vec<&str>), Fault> {
    let (mut set, mut remove) = (BTreeMap::new(), Vec::new());
    for label in labels {
        match (label.split_once('='), label.strip_suffix('-')) {
            (Some((key, value)), _) if !key.is_empty() && !value.is_empty() => {
                set.insert(key, value);
            }
            (None, Some(key)) if !key.is_empty() => remove.push(key),
            _ => {
                return Err(Fault::Label(format!(
                    "`{label}` is no label: write KEY=VALUE to give one, `KEY-` to take it away"
                )));
            }
        }
    }
    Ok((set, remove))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_given_and_taken() {
        let labels = ["name=rack2-p3", "colour-", "eq=a=b-"].map(str::to_owned);
        let (set, remove) = read(&labels).unwrap();
        assert_eq!(set, BTreeMap::from([("name", "rack2-p3"), ("eq", "a=b-")]));
        assert_eq!(remove, ["colour"]);
        for wrong in ["colour", "=x", "k=", "-", ""] {
            assert!(read(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
