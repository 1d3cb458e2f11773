use icefarm_core::Registry;

pub struct S;

impl S {
    pub fn get(&mut self) {}
}

fn main() {
    let _ = Registry::builder().with::<S>().build();
}
