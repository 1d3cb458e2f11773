//! Cuts the cone of a pin out of the Verilog that IceStorm's `icebox_vlog` makes of a bitstream.
//!
//! `icebox_vlog` describes the whole chip, with every contention and oscillator on it, and takes
//! all switches as connections of both directions. The cone is found here from its text alone.

use std::collections::{BTreeMap, BTreeSet};

/// What becomes of a pin.
pub(super) enum Cone {
    /// A module with the clock as input `io_12_31_1` and the pin as output `pin`.
    Module(String),
    /// The text does not describe what the device does, for this reason.
    Unclear(String),
}

/// The clock pad of the pico2-ice.
const CLOCK: &str = "io_12_31_1";

/// A statement that drives a net.
struct Statement<'a> {
    text: &'a str,
    register: bool,
    reads: BTreeSet<&'a str>,
}

/// Makes a module of what drives a net.
pub(super) fn cone(text: &str, pin: &str, module: &str) -> Cone {
    let mut drivers: BTreeMap<&str, Vec<Statement<'_>>> = BTreeMap::new();
    let mut others: BTreeSet<&str> = BTreeSet::new();
    for line in text.lines() {
        match statement(line) {
            Some((net, statement)) => drivers.entry(net).or_default().push(statement),
            // Declarations name every net; everything else may drive what it names.
            None if ["wire ", "reg ", "module "].iter().any(|word| line.starts_with(word)) => {}
            None => others.extend(names(line)),
        }
    }
    let mut reached = BTreeSet::new();
    let mut open = vec![pin];
    let mut body = String::new();
    while let Some(net) = open.pop() {
        if net == CLOCK || !reached.insert(net) {
            continue;
        }
        if others.contains(net) {
            return Cone::Unclear(format!(
                "{net} belongs to a cell that is not logic, says icebox_vlog"
            ));
        }
        match drivers.get(net).map(Vec::as_slice) {
            None | Some([]) => body += &format!("wire {net} = 1'b0;\n"),
            Some([statement]) => {
                let kind = if statement.register { "reg" } else { "wire" };
                let start = if statement.register { " = 0" } else { "" };
                body += &format!("{kind} {net}{start};\n{}\n", statement.text);
                open.extend(&statement.reads);
            }
            Some(several) => {
                return Cone::Unclear(format!(
                    "{net} has {} drivers, says icebox_vlog",
                    several.len()
                ));
            }
        }
    }
    if drivers.contains_key(CLOCK) {
        return Cone::Unclear("the clock pad is driven, says icebox_vlog".to_owned());
    }
    // Declarations first: a statement may read what is declared further down.
    let (declarations, statements): (Vec<&str>, Vec<&str>) =
        body.lines().partition(|line| line.starts_with("wire ") || line.starts_with("reg "));
    Cone::Module(format!(
        "module {module} (input {CLOCK}, output pin);\n{}\n{}\nassign pin = {pin};\nendmodule\n",
        declarations.join("\n"),
        statements.join("\n")
    ))
}

/// The net that a line drives, if it is an assignment or a flip-flop.
fn statement(line: &str) -> Option<(&str, Statement<'_>)> {
    if let Some(start) = line.find("always @(") {
        let text = &line[start..];
        let net = text.split_once(" <= ")?.0.rsplit([' ', ')']).next()?;
        return Some((net, Statement { text, register: true, reads: names(text) }));
    }
    let text = &line[line.find("assign ")?..];
    let (net, value) = text.strip_prefix("assign ")?.split_once('=')?;
    Some((net.trim(), Statement { text, register: false, reads: names(value) }))
}

/// The names of nets in a piece of Verilog.
fn names(text: &str) -> BTreeSet<&str> {
    // Comments name cells, not nets.
    let mut names = BTreeSet::new();
    for part in text.split("*/") {
        let code = part.split("/*").next().unwrap_or_default();
        let words = code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '\''));
        names.extend(words.filter(|word| {
            let number = word.strip_prefix('n').is_some_and(|rest| {
                !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())
            });
            number || word.starts_with("io_") || word.starts_with("open_")
        }));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHIP: &str = "
module chip (input io_12_31_1, output io_18_31_1);
wire n1, n2, n3;
reg io_18_31_1 = 0;
assign n1 = /* LUT 17 30  0 */ !io_18_31_1;
assign n2 = 1;
/* FF 17 30  0 */ always @(posedge io_12_31_1, posedge n3) if (n3) io_18_31_1 <= 1'b0; else if (n2) io_18_31_1 <= n1;
";

    fn module(text: &str) -> String {
        match cone(text, "io_18_31_1", "one") {
            Cone::Module(text) => text,
            Cone::Unclear(reason) => panic!("{reason}"),
        }
    }

    #[test]
    fn the_cone_has_what_the_pin_needs() {
        let text = module(&format!("{CHIP}assign n4 = n1;\n"));
        assert!(text.starts_with("module one (input io_12_31_1, output pin);\n"), "{text}");
        for part in ["reg io_18_31_1 = 0;", "wire n3 = 1'b0;", "assign n2 = 1;", "else if (n2)"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("n4"), "{text}");
    }

    #[test]
    fn what_icebox_takes_for_a_fight_is_unclear() {
        let fight = format!("{CHIP}assign n1 = n3;\n");
        assert!(matches!(cone(&fight, "io_18_31_1", "one"), Cone::Unclear(_)));
        let other = format!("{CHIP}assign n5 = n3;\nassign n5 = n1;\nassign n6 = n5;\n");
        module(&other);
        let memory = format!("{CHIP}  .RDATA({{n3, open_1}}),\n");
        assert!(matches!(cone(&memory, "io_18_31_1", "one"), Cone::Unclear(_)));
    }
}
