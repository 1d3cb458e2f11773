#![allow(unused)]
use icefarm_core::{Device, State, register, reservable};

pub struct Absent;
#[reservable("absent")]
impl Absent {
    #[register("getdata")]
    fn get(&mut self) {}
}
impl State for Absent {}

pub struct NoDevice;
#[reservable("no device", "message")]
impl NoDevice {
    fn new() -> Self {
        Self
    }
}
impl State for NoDevice {}

pub struct FewKeys;
#[reservable("few keys", "message")]
impl FewKeys {
    fn new(device: Device, message: String, count: u32) -> Self {
        Self
    }
}
impl State for FewKeys {}

pub struct ManyKeys;
#[reservable("many keys", "message", "count")]
impl ManyKeys {
    fn new(device: Device, message: String) -> Self {
        Self
    }
}
impl State for ManyKeys {}

pub struct Waiting;
#[reservable("waiting", "name")]
impl Waiting {
    async fn new(&self, device: Device, name: &str) -> Self {
        Self
    }
}
impl State for Waiting {}

pub struct OtherDevice;
#[reservable("other device")]
impl OtherDevice {
    fn new(device: String) -> Self {
        Self
    }
}
impl State for OtherDevice {}

fn main() {}
