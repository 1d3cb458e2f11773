//! Truth tables as sums of products.

use super::super::super::circuit::{LOW_SLOT, Lookup, Slot};
use super::{Wave, Waves};

/// The products of inputs whose sum a truth table is: whether the product of the inputs in the
/// index takes part.
pub(super) struct Terms(pub(super) [bool; 16]);

impl Terms {
    /// A product takes part where an odd number of the rows within it are 1 (the Moebius transform
    /// of the table).
    pub(super) fn of(bits: u16) -> Self {
        let mut terms: [bool; 16] = std::array::from_fn(|row| bits >> row & 1 != 0);
        for (input, row) in (0..4).flat_map(|input| (0..16).map(move |row| (input, row))) {
            if row >> input & 1 != 0 {
                terms[row] ^= terms[row ^ 1 << input];
            }
        }
        Self(terms)
    }
}

/// The sum of products of four words, for each place in these by itself.
///
/// In an order in which little waits for anything else.
pub(super) fn sum(terms: &[Wave; 16], [a, b, c, d]: [Wave; 4]) -> Wave {
    let (ab, cd) = (a & b, c & d);
    let of = |first: usize| {
        let terms = &terms[first..first + 4];
        (terms[0] ^ terms[1] & a) ^ (terms[2] & b ^ terms[3] & ab)
    };
    (of(0) ^ c & of(4)) ^ (d & of(8) ^ cd & of(12))
}

/// A table over waves.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) output: Slot,
    /// Those that matter come first.
    inputs: [Slot; 4],
    /// How many matter.
    arity: u8,
    /// All ones for each product that takes part.
    terms: [Wave; 16],
}

impl Table {
    pub(super) fn new(output: Slot, lookup: &Lookup) -> Self {
        let Terms(sum) = Terms::of(lookup.bits);
        let matters = |&input: &usize| (0..16).any(|row| sum[row] && row >> input & 1 != 0);
        let needed: Vec<usize> = (0..4).filter(matters).collect();
        let mut inputs = [LOW_SLOT; 4];
        for (place, &input) in inputs.iter_mut().zip(&needed) {
            *place = lookup.inputs[input];
        }
        let terms = std::array::from_fn(|product| {
            let inputs = needed.iter().enumerate();
            let row: usize = inputs.map(|(place, input)| (product >> place & 1) << input).sum();
            let beyond = product >> needed.len() != 0;
            if sum[row] && !beyond { Wave::MAX } else { 0 }
        });
        Self { output, inputs, arity: needed.len() as u8, terms }
    }

    /// About how many nanoseconds [`Self::wave`] takes.
    pub(super) fn cost(&self) -> u64 {
        [3, 3, 3, 6, 10][usize::from(self.arity)]
    }

    /// The wave of the output.
    pub(super) fn wave(&self, waves: &Waves) -> Wave {
        let inputs @ [a, b, c, _] = self.inputs.map(|slot| waves[slot]);
        let both = a & b;
        let of = |first: usize| {
            let terms = &self.terms[first..first + 4];
            terms[0] ^ terms[1] & a ^ terms[2] & b ^ terms[3] & both
        };
        match self.arity {
            0..=2 => of(0),
            3 => of(0) ^ c & of(4),
            _ => sum(&self.terms, inputs),
        }
    }

    /// Evaluates the table.
    pub(super) fn settle(&self, waves: &mut Waves) {
        waves[self.output] = self.wave(waves);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_a_table_is_right() {
        // Each input has a wave in which the lowest 16 bits run through all rows.
        let mut waves = Waves::new(8);
        for (input, wave) in [0xAAAA, 0xCCCC, 0xF0F0, 0xFF00].into_iter().enumerate() {
            waves[3 + input as Slot] = wave;
        }
        for bits in 0..=u16::MAX {
            let table = Table::new(7, &Lookup { bits, inputs: [3, 4, 5, 6] });
            assert_eq!(table.wave(&waves) as u16, bits);
        }
    }
}
