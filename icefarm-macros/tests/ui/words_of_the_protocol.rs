#![allow(unused)]
use icefarm_core::{Device, State, register, reservable};

pub struct Deaf;

#[reservable("deaf")]
impl Deaf {
    fn new(device: Device) -> Self {
        Self
    }

    #[register("ack")]
    #[register("hello")]
    fn one(&mut self) {}

    #[register("dropped")]
    #[register("error")]
    #[register("reply")]
    #[register("resync")]
    async fn other(&mut self) {}
}
impl State for Deaf {}

// To a handler these are events like others.
pub struct Handler;

#[register]
impl Handler {
    #[register("error", "code")]
    fn failed(&mut self, code: String) {}
}

fn main() {}
