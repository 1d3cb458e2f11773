//! What is wrong with the attribute of the block is told once, and not by each method again.

use icefarm_core::{Device, State, register, reservable};

struct Uptime;

#[reservable("uptime" "unit")]
impl Uptime {
    fn new(_: Device, _: String) -> Self {
        Self
    }

    #[register("read", "times")]
    fn read(&self, times: u32) -> u32 {
        times
    }
}

impl State for Uptime {}

fn main() {}
