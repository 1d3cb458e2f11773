#![allow(unused)]
use icefarm_core::{Device, State, register, reservable};

pub struct S;

#[register]
impl S {
    #[register("few", "data")]
    async fn few(&mut self, data: String, _count: u32) {}

    #[register("many", "data", "count")]
    fn many(&mut self, data: String) {}

    #[register("twice", "data", "data")]
    fn twice(&mut self, a: String, b: String) {}

    #[register("")]
    fn nameless(&mut self) {}

    #[register(getdata)]
    fn unquoted(&mut self) {}

    #[register]
    fn bare(&mut self) {}

    #[register("data", crate = icefarm_core)]
    fn path(&mut self) {}
}

pub struct Names;

#[register("getdata")]
impl Names {
    #[register("getdata")]
    fn get(&mut self) {}
}

pub struct Unquoted;

#[reservable(unquoted)]
impl Unquoted {
    fn new(device: Device) -> Self {
        Self
    }
}
impl State for Unquoted {}

pub struct Order;

#[reservable("order", crate = icefarm_core, "message")]
impl Order {
    fn new(device: Device, message: String) -> Self {
        Self
    }
}
impl State for Order {}

fn main() {}
