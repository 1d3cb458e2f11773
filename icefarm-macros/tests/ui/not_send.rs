#![allow(unused)]
use icefarm_core::{Device, State, register, reservable};

pub struct S;

#[register]
impl S {
    #[register("getdata")]
    async fn get(&mut self) {
        let rc = std::rc::Rc::new(1);
        std::future::ready(()).await;
        drop(rc);
    }
}

fn main() {}
