//! Every target with the inputs that once did harm, and with some new ones.

#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use icefarm_fuzz::{Failure, TARGETS, Target, corpus, replay, run};

/// Inputs for a target whose inputs are cheap.
const CASES: u32 = 1000;

fn feed(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    for (path, input) in corpus(target).unwrap() {
        replay(target, &input).unwrap_or_else(|failure| panic!("{}: {failure}", path.display()));
    }
    if let Err(found) = run(target, CASES / target.weight) {
        panic!("{}\n{:?}", found.failure, String::from_utf8_lossy(&found.input));
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            feed(stringify!($name));
        })*

        #[test]
        fn every_target_is_fed() {
            let all: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(all, [$(stringify!($name)),*]);
        }
    };
}

targets! { json msgpack wire arguments names query bitstream chip config faults control worker }

#[test]
fn harm_is_found_and_made_small() {
    static CLUMSY: Target = Target {
        name: "clumsy",
        what: "chokes on a bracket",
        samples: || vec![b"hello world".to_vec()],
        check: |input| match input.contains(&b'[') {
            true => panic!("a bracket"),
            false => Ok(()),
        },
        memory: (1 << 20, 16),
        weight: 1,
    };
    let found = run(&CLUMSY, 5000).unwrap_err();
    assert_eq!(found.failure, Failure::Panic("a bracket".into()));
    assert!(found.input.len() < 40, "{:?}", found.input);
    replay(&CLUMSY, b"fine").unwrap();
}

#[test]
fn what_takes_more_memory_than_it_may_is_found() {
    static GREEDY: Target = Target {
        name: "greedy",
        what: "allocates for what is long",
        samples: || vec![b"hello world".to_vec()],
        check: |input| {
            drop(vec![1u8; if input.len() > 5000 { 64 << 20 } else { 0 }]);
            Ok(())
        },
        memory: (1 << 20, 16),
        weight: 1,
    };
    let greedy = replay(&GREEDY, &[b'x'; 5001]);
    assert!(matches!(greedy, Err(Failure::Memory { length: 5001, .. })), "{greedy:?}");
    replay(&GREEDY, b"fine").unwrap();
}
