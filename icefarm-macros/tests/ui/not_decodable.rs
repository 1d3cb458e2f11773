#![allow(unused)]
use icefarm_core::{Device, State, register, reservable};

pub struct NotSerde;

pub struct S;

#[reservable("example state", "data")]
impl S {
    fn new(device: Device, data: NotSerde) -> Self {
        Self
    }

    #[register("getdata", "data")]
    async fn receive_data(&mut self, data: Option<NotSerde>) {}
}

impl State for S {}

fn main() {}
