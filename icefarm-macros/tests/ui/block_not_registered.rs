#![allow(unused)]
use icefarm_core::{Device, State, register, reservable};

pub struct S;

impl S {
    #[register("getdata", "data")]
    async fn receive_data(&mut self, data: String) {}
}

fn main() {}
