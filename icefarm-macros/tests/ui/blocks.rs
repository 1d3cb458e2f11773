#![allow(unused)]
use icefarm_core::{Device, State, register, reservable};

pub struct Generic<T>(T);

#[register]
impl<T> Generic<T> {
    #[register("get")]
    fn get(&mut self) {}
}

pub trait Getter {
    fn get(&mut self);
}

pub struct S;

#[register]
impl Getter for S {
    #[register("get")]
    fn get(&mut self) {}
}

pub struct Empty;

#[register]
impl Empty {
    fn get(&mut self) {}
}

#[register("get")]
pub struct NoBlock;

fn main() {}
