#![allow(unused)]
use icefarm_core::{Device, State, register, reservable};

#[reservable("example state", "message")]
pub struct S {
    device: Device,
}

impl S {
    fn new(device: Device, message: String) -> Self {
        Self { device }
    }
}

impl State for S {}

#[reservable("function")]
fn new(device: Device) -> S {
    S { device }
}

fn main() {}
