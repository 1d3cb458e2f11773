#![allow(unused)]
use icefarm_core::{Device, State, register, reservable};

pub struct S;

#[reservable("twice")]
impl S {
    fn new(device: Device) -> Self {
        Self
    }
}

#[register]
impl S {
    #[register("get")]
    fn get(&mut self) {}
}

impl State for S {}

fn main() {}
