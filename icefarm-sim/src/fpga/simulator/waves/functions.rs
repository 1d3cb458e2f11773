//! What the signals of a knot are, as functions of others.

use super::super::super::circuit::{Circuit, FIRST_FLIP_FLOP, HIGH_SLOT, LOW_SLOT, Lookup, Slot};
use super::flip_flop::FlipFlop;
use super::index::BITS;
use super::plan::needs;
use super::rows::{Row, held, rows};
use super::table::Table;
use super::{Wave, Waves};
use std::collections::HashSet;

/// The level of a table, or the next one of a flip-flop.
#[derive(Debug, Clone)]
pub(super) struct Function {
    pub(super) slot: Slot,
    /// Signals, in ascending order.
    pub(super) inputs: Vec<Slot>,
    /// A table that belongs to it: itself, or the data of the flip-flop.
    table: Option<Table>,
    flip_flop: Option<FlipFlop>,
}

/// The functions of a knot.
pub(super) struct Functions {
    /// Tables that other functions look at, each only at rows before its own.
    pub(super) rows: Vec<TableRow>,
    pub(super) flip_flops: Vec<Function>,
}

pub(super) enum TableRow {
    Plain(Vec<Function>),
    /// A [chain](Row) of tables: what each is if the one before gives 0, and if it gives 1.
    Chain(Vec<[Function; 2]>),
}

impl Functions {
    /// The functions of a ring of slots, in ascending order.
    pub(super) fn new(circuit: &Circuit, ring: &[Slot]) -> Self {
        let first_table = circuit.first_table();
        let is_table = |slot: Slot| slot >= first_table && ring.binary_search(&slot).is_ok();
        let (flip_flops, tables) = ring.split_at(ring.partition_point(|&slot| slot < first_table));
        let flip_flops: Vec<Function> =
            flip_flops.iter().map(|&slot| next(circuit, slot, is_table)).collect();
        let inputs = flip_flops.iter().flat_map(|function| &function.inputs);
        let mut wanted: HashSet<Slot> = inputs.copied().filter(|&slot| is_table(slot)).collect();
        for &slot in tables.iter().rev() {
            if wanted.contains(&slot) {
                wanted.extend(needs(circuit, slot));
            }
        }
        let tables: Vec<Slot> =
            tables.iter().filter(|slot| wanted.contains(slot)).copied().collect();
        let rows = rows(circuit, &[], &tables).into_iter().map(|row| table_row(circuit, &row));
        Self { rows: rows.collect(), flip_flops }
    }
}

impl TableRow {
    pub(super) fn functions(&self) -> impl Iterator<Item = &Function> {
        let (plain, chain): (&[Function], &[[Function; 2]]) = match self {
            Self::Plain(functions) => (functions, &[]),
            Self::Chain(stages) => (&[], stages),
        };
        plain.iter().chain(chain.as_flattened())
    }
}

fn table_row(circuit: &Circuit, row: &Row) -> TableRow {
    let plain = |&slot: &Slot| Function {
        slot,
        inputs: signals(needs(circuit, slot)),
        table: Some(table(circuit, slot)),
        flip_flop: None,
    };
    if row.links.is_empty() {
        return TableRow::Plain(row.slots.iter().map(plain).collect());
    }
    let links = [None].into_iter().chain(row.links.iter().map(|&link| Some(link)));
    let stage = |(slot, link): (&Slot, Option<usize>)| {
        let Some(link) = link else { return [plain(slot), plain(slot)] };
        let lookup = &circuit.lookups[usize::from(slot - circuit.first_table())];
        let mut inputs = lookup.inputs;
        inputs[link] = LOW_SLOT;
        [false, true].map(|level| {
            let table = Table::new(*slot, &Lookup { bits: held(lookup.bits, link, level), inputs });
            Function { slot: *slot, inputs: signals(inputs), table: Some(table), flip_flop: None }
        })
    };
    TableRow::Chain(row.slots.iter().zip(links).map(stage).collect())
}

/// What a flip-flop takes. The inputs are those of the table before it if these are few enough to
/// be numbered for sure, wherever they are.
fn next(circuit: &Circuit, slot: Slot, is_table: impl Fn(Slot) -> bool) -> Function {
    let number = usize::from(slot - FIRST_FLIP_FLOP);
    let flip_flop = Some(FlipFlop::new(number, &circuit.latches[number]));
    let direct = needs(circuit, slot);
    let data = direct[0];
    if is_table(data) {
        let others = direct.into_iter().filter(|&needed| needed != data);
        let inputs = signals(others.chain(needs(circuit, data)));
        if inputs.len() < BITS {
            return Function { slot, inputs, table: Some(table(circuit, data)), flip_flop };
        }
    }
    Function { slot, inputs: signals(direct), table: None, flip_flop }
}

fn table(circuit: &Circuit, slot: Slot) -> Table {
    Table::new(slot, &circuit.lookups[usize::from(slot - circuit.first_table())])
}

/// Slots without constants and repetitions.
fn signals(slots: impl IntoIterator<Item = Slot>) -> Vec<Slot> {
    let mut signals: Vec<Slot> = slots.into_iter().filter(|&slot| slot > HIGH_SLOT).collect();
    signals.sort_unstable();
    signals.dedup();
    signals
}

impl Function {
    /// For each place of a wave, the level that follows from those of the inputs.
    pub(super) fn wave(&self, waves: &mut Waves) -> Wave {
        // The table of a flip-flop may be a signal by itself.
        let output = self.table.as_ref().map_or(LOW_SLOT, |table| table.output);
        let before = waves[output];
        if let Some(table) = &self.table {
            table.settle(waves);
        }
        let wave = match &self.flip_flop {
            Some(flip_flop) => flip_flop.next(waves),
            None => waves[output],
        };
        waves[output] = before;
        wave
    }

    /// The signal that a flip-flop takes as it is, if it does nothing else.
    pub(super) fn follows(&self) -> Option<Slot> {
        let flip_flop = self.flip_flop.as_ref().filter(|_| self.table.is_none())?;
        let plain = (flip_flop.enable, flip_flop.set_reset) == (HIGH_SLOT, LOW_SLOT);
        (plain && flip_flop.data > HIGH_SLOT).then_some(flip_flop.data)
    }
}
