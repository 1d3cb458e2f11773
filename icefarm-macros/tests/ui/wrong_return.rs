#![allow(unused)]
use icefarm_core::{Device, State, register, reservable};

pub struct S;

#[register]
impl S {
    #[register("getdata")]
    async fn get(&mut self) -> std::time::Instant {
        std::time::Instant::now()
    }
}

fn main() {}
