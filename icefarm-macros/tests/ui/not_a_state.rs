#![allow(unused)]
use icefarm_core::{Device, State, register, reservable};

pub struct S;

#[reservable("example state")]
impl S {
    fn new(device: Device) -> Self {
        Self
    }
}

fn main() {}
