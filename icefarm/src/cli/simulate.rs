//! `icefarm simulate`: the simulator alone.

use super::args::SimulateArgs;
use super::circuits::{self, CircuitFile};
use super::print;
use super::table::Table;
use crate::{complain, exit};
use icefarm_sim::fpga::{Count, Limits, Refusal, Window, count_pulses};
use serde_json::{Value, json};
use std::process::ExitCode;

pub(crate) fn main(args: &SimulateArgs) -> ExitCode {
    let circuits = match circuits::read(&args.circuits) {
        Ok(circuits) => circuits,
        Err(error) => {
            complain(&error.to_string());
            return exit::failed();
        }
    };
    let mut table = Table::new(["circuit", "pulses", "cycles", "remark"]);
    let mut all_counted = true;
    for circuit in &circuits {
        let window = Window { cycles: args.cycles, ..Window::SECOND };
        let counted = count_pulses(&circuit.bytes, window, &Limits::default());
        all_counted &= counted.is_ok();
        if args.output.json {
            print::json(&as_json(circuit, &counted));
            continue;
        }
        match counted {
            Ok(count) => table.row([
                circuit.name.clone(),
                count.pulses.to_string(),
                count.cycles.to_string(),
                describe(&count),
            ]),
            Err(refusal) => table.row([
                circuit.name.clone(),
                String::new(),
                String::new(),
                format!("refused ({}): {refusal}", refusal.code()),
            ]),
        }
    }
    if !table.is_empty() {
        print::table(&table);
    }
    if all_counted { exit::DONE } else { exit::incomplete() }
}

fn describe(count: &Count) -> String {
    let parts =
        format!("{} LUTs, {} flip-flops, {} carries", count.luts, count.flip_flops, count.carries);
    match count.uncertainty {
        0 => parts,
        most => format!("{parts}; off by up to {most}, as the PLL may lock at any time"),
    }
}

fn as_json(circuit: &CircuitFile, counted: &Result<Count, Refusal>) -> Value {
    match counted {
        Ok(count) => json!({
            "circuit": circuit.name,
            "outcome": "reading",
            "reading": reading(count),
            "cycles": count.cycles,
            "simulated_cycles": count.simulated_cycles,
            "luts": count.luts,
            "flip_flops": count.flip_flops,
            "carries": count.carries,
            "simulated": true,
        }),
        Err(refusal) => json!({
            "circuit": circuit.name,
            "outcome": "refused",
            "code": refusal.code(),
            "reason": refusal.to_string(),
            "simulated": true,
        }),
    }
}

/// As of the kind `pulsecount`.
fn reading(count: &Count) -> Value {
    match count.uncertainty {
        0 => json!({"pulses": count.pulses}),
        most => json!({"pulses": count.pulses, "uncertainty": most}),
    }
}
