//! Random expressions over the signals that are there.

use super::design::{Maker, Signal};

/// How many of a hundred looks go to any domain instead of the own one.
const ABROAD: u64 = 8;

fn signal(maker: &mut Maker, domain: usize) -> usize {
    let count = maker.signals.len();
    let own: Vec<usize> = (0..count).filter(|&i| maker.signals[i].domain == domain).collect();
    if own.is_empty() || maker.random.chance(ABROAD) {
        return maker.random.below(count as u64) as usize;
    }
    own[maker.random.below(own.len() as u64) as usize]
}

fn bit_of(maker: &mut Maker, signal: usize) -> String {
    let Signal { width, .. } = maker.signals[signal];
    let place = maker.random.below(width as u64);
    format!("{}[{place}]", maker.signals[signal].name)
}

/// One bit of a signal.
pub(super) fn bit(maker: &mut Maker, domain: usize) -> String {
    let signal = signal(maker, domain);
    bit_of(maker, signal)
}

/// One bit of a register of the domain, if it has any.
pub(super) fn register_bit(maker: &mut Maker, domain: usize) -> Option<String> {
    bit_of_some(maker, |signal| signal.register && signal.domain == domain)
}

/// The same, of one that is 0 at the start.
pub(super) fn low_register_bit(maker: &mut Maker, domain: usize) -> Option<String> {
    bit_of_some(maker, |signal| signal.register && signal.low && signal.domain == domain)
}

fn bit_of_some(maker: &mut Maker, wanted: impl Fn(&Signal) -> bool) -> Option<String> {
    let signals = maker.signals.iter().enumerate();
    let own: Vec<usize> =
        signals.filter(|(_, signal)| wanted(signal)).map(|(number, _)| number).collect();
    if own.is_empty() {
        return None;
    }
    let signal = own[maker.random.below(own.len() as u64) as usize];
    Some(bit_of(maker, signal))
}

/// Any expression, nested at most so deep.
pub(super) fn any(maker: &mut Maker, domain: usize, depth: usize) -> String {
    if depth == 0 || maker.random.chance(15) {
        return match maker.random.below(8) {
            0 => format!("8'd{}", maker.random.below(256)),
            1 | 2 => bit(maker, domain),
            _ => {
                let signal = signal(maker, domain);
                maker.signals[signal].name.clone()
            }
        };
    }
    let kind = maker.random.below(14);
    let one = any(maker, domain, depth - 1);
    if kind < 3 {
        let operator = ["~", "^", "&"][kind as usize];
        return format!("({operator}{one})");
    }
    let two = any(maker, domain, depth - 1);
    match kind {
        3 | 4 => format!("({one} ^ {two})"),
        5 => format!("({one} & {two})"),
        6 => format!("({one} | {two})"),
        7 | 8 => format!("({one} + {two})"),
        9 => format!("({one} - {two})"),
        10 => format!("({one} == {two})"),
        11 => format!("({one} < {two})"),
        12 => format!("({one} << 1 | {two})"),
        _ => format!("({} ? {one} : {two})", bit(maker, domain)),
    }
}
