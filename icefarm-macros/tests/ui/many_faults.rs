#![allow(unused)]
use icefarm_core::{Device, State, register, reservable};

pub struct S;

#[register]
impl S {
    #[register("a")]
    fn a() {}

    #[register("a", "data")]
    fn b(&mut self, data: &str) {}

    #[register("c")]
    fn c(self) {}

    #[register("d", "data")]
    fn d<T>(&mut self, data: T) {}

    #[register("e", "data")]
    fn e(&mut self, data: impl Into<String>) {}

    #[register("f", "data")]
    unsafe fn f(&mut self, #[cfg(unix)] data: String) {}
}

fn main() {}
