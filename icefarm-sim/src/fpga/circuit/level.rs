//! Puts what the pin depends on into an order in which it can be evaluated.

use super::super::Refusal;
use super::fold::{Level, acts, inputs, levels, passes, reduce};
use super::graph::{FlipFlop, Graph, Id, LOW, Node, Role};
use super::memory::Memory;
use super::pll::Pll;
use super::trace::BOOT_TILE;
use super::{Circuit, FIRST_FLIP_FLOP, Latch, Lookup, Slot};
use std::cell::Cell;

/// Finds what the pin really depends on, refuses what cannot be simulated, and orders the rest.
pub(super) fn level(graph: &Graph) -> Result<Circuit, Refusal> {
    let levels = levels(graph);
    if levels[graph.boot as usize] != Level::Constant(false) {
        return Err(Refusal::WarmBoot { tile: BOOT_TILE });
    }
    let mut order = Order {
        graph,
        levels,
        mark: vec![Mark::New; graph.nodes.len()],
        slot: vec![Place::Low; graph.nodes.len()],
        flip_flops: Vec::new(),
        memories: Vec::new(),
        tables: Vec::new(),
        carries: 0,
        pads: 0,
        pll: None,
    };
    match order.levels[graph.pin_enable as usize] {
        // Never driven, it reads 0.
        Level::Constant(false) => return Ok(Circuit::still()),
        Level::Constant(true) | Level::Varies => order.visit(graph.pin_enable)?,
    }
    order.visit(graph.pin)?;
    let (mut latches, mut memories) = (Vec::new(), Vec::new());
    // Flip-flops and memories are found while those before them are followed.
    loop {
        if let Some(&id) = order.flip_flops.get(latches.len())
            && let Node::FlipFlop(flip_flop) = graph.node(id)
        {
            let needed = order.needed(flip_flop);
            for id in [needed.clock, needed.data, needed.enable, needed.set_reset] {
                order.visit(id)?;
            }
            latches.push(needed);
        } else if let Some(&number) = order.memories.get(memories.len()) {
            let memory = &graph.memories[usize::from(number)];
            let needed = memory.needed(acts(&memory.write, &order.levels));
            for id in needed.inputs() {
                order.visit(id)?;
            }
            memories.push(needed);
        } else {
            return order.circuit(&latches, &memories);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    /// On the way from the root that is being followed.
    Open,
    Done,
}

/// Where a node's level will be, before the number of flip-flops is known.
#[derive(Clone, Copy)]
enum Place {
    Low,
    High,
    Clock,
    Pll,
    FlipFlop(u16),
    MemoryBit(u16, u8),
    Table(u16),
}

struct Order<'a> {
    graph: &'a Graph,
    levels: Vec<Level>,
    mark: Vec<Mark>,
    slot: Vec<Place>,
    flip_flops: Vec<Id>,
    /// Numbers of memories in the graph.
    memories: Vec<u16>,
    tables: Vec<(u16, [Place; 4])>,
    carries: usize,
    pads: usize,
    /// The output of the PLL that is used.
    pll: Option<Pll>,
}

impl Order<'_> {
    /// What is left of a flip-flop's inputs when those that cannot matter are tied down.
    fn needed(&self, flip_flop: &FlipFlop) -> FlipFlop {
        let level = |id: Id| self.levels[id as usize];
        let mut needed = *flip_flop;
        if level(needed.clock) != Level::Varies {
            // No edge will ever come.
            (needed.clock, needed.enable) = (LOW, LOW);
        }
        if level(needed.enable) == Level::Constant(false)
            || level(needed.set_reset) == Level::Constant(true)
        {
            needed.data = LOW;
        }
        needed
    }

    /// Follows a node back to what it depends on, without recursion: a chain can be as long as the
    /// chip has cells.
    fn visit(&mut self, root: Id) -> Result<(), Refusal> {
        let mut path: Vec<(Id, u16)> = Vec::new();
        let mut next = Some(root);
        loop {
            if let Some(id) = next.take()
                && let Some(bits) = self.enter(id, &path)?
            {
                path.push((id, bits));
            }
            let Some(&(id, bits)) = path.last() else { return Ok(()) };
            let Node::Table(table) = self.graph.node(id) else { return Ok(()) };
            let unvisited = |input: &Id| self.mark[*input as usize] != Mark::Done;
            next = inputs(bits).map(|number| table.inputs[number]).find(unvisited);
            if next.is_none() {
                let places = [0, 1, 2, 3].map(|number| match table.inputs[number] {
                    input if inputs(bits).any(|needed| needed == number) => {
                        self.slot[input as usize]
                    }
                    _ => Place::Low,
                });
                self.slot[id as usize] = match passes(bits) {
                    Some(number) => places[number],
                    None => {
                        self.carries += usize::from(table.role == Role::Carry);
                        self.pads += usize::from(table.role == Role::Pad);
                        self.tables.push((bits, places));
                        Place::Table((self.tables.len() - 1) as u16)
                    }
                };
                self.mark[id as usize] = Mark::Done;
                path.pop();
            }
        }
    }

    /// Begins with a node. Gives the truth table if its inputs must come first.
    fn enter(&mut self, id: Id, path: &[(Id, u16)]) -> Result<Option<u16>, Refusal> {
        let index = id as usize;
        match self.mark[index] {
            Mark::Done => return Ok(None),
            Mark::Open => return Err(self.combinational_loop(id, path)),
            Mark::New => {}
        }
        self.slot[index] = match (self.levels[index], self.graph.node(id)) {
            (Level::Constant(level), _) => {
                if level {
                    Place::High
                } else {
                    Place::Low
                }
            }
            (Level::Varies, Node::Table(table)) => {
                self.mark[index] = Mark::Open;
                return Ok(Some(reduce(table, &self.levels)));
            }
            (Level::Varies, Node::FlipFlop(_)) => {
                self.flip_flops.push(id);
                Place::FlipFlop((self.flip_flops.len() - 1) as u16)
            }
            (Level::Varies, &Node::MemoryBit { memory, bit }) => {
                let known = self.memories.iter().position(|&number| number == memory);
                let place = known.unwrap_or(self.memories.len());
                if known.is_none() {
                    self.memories.push(memory);
                }
                Place::MemoryBit(place as u16, bit)
            }
            (Level::Varies, Node::Pll(pll)) => {
                self.check_pll(pll)?;
                Place::Pll
            }
            (Level::Varies, Node::Blocked(refusal)) => return Err((**refusal).clone()),
            (Level::Varies, Node::Clock | Node::Constant(_)) => Place::Clock,
        };
        self.mark[index] = Mark::Done;
        Ok(None)
    }

    /// The clock of the PLL can be followed if nothing disturbs it and it is the only one.
    fn check_pll(&mut self, pll: &Pll) -> Result<(), Refusal> {
        let level = |id: Id| self.levels[id as usize];
        if level(pll.running) != Level::Constant(true) {
            return Err(pll.refused("it is not always out of reset"));
        }
        if pll.quiet.iter().any(|&id| level(id) != Level::Constant(false)) {
            return Err(pll.refused("its output can be bypassed or latched"));
        }
        if self.pll.replace(*pll).is_some_and(|other| other.pad != pll.pad) {
            return Err(pll.refused("both of its outputs count, and their phase is not known"));
        }
        self.visit(pll.reference)?;
        if !matches!(self.slot[pll.reference as usize], Place::Clock) {
            return Err(pll.refused("its reference is not the clock of the board"));
        }
        Ok(())
    }

    fn combinational_loop(&self, id: Id, path: &[(Id, u16)]) -> Refusal {
        const SHOWN: usize = 6;
        let ring = path.iter().skip_while(|&&(other, _)| other != id);
        let mut cells: Vec<_> = ring
            .filter_map(|&(id, _)| match self.graph.node(id) {
                Node::Table(table) => Some(table.cell),
                _ => None,
            })
            .collect();
        cells.dedup();
        let names = cells.iter().take(SHOWN).map(|cell| {
            let what = if [0, 31].contains(&cell.tile.y) { "pad" } else { "cell" };
            format!("{} {what} {}", cell.tile, cell.index)
        });
        let mut names = names.collect::<Vec<_>>().join(", ");
        if cells.len() > SHOWN {
            names += &format!(" and {} more", cells.len() - SHOWN);
        }
        Refusal::CombinationalLoop { cells: names }
    }

    fn circuit(self, flip_flops: &[FlipFlop], memories: &[Memory<Id>]) -> Result<Circuit, Refusal> {
        let after_flip_flops = FIRST_FLIP_FLOP + flip_flops.len() as Slot;
        let first_table = after_flip_flops + 16 * memories.len() as Slot;
        let board = Cell::new(false);
        let slot = |place: Place| match place {
            Place::Low => super::LOW_SLOT,
            Place::High => super::HIGH_SLOT,
            Place::Clock => {
                board.set(true);
                super::CLOCK_SLOT
            }
            Place::Pll => super::CLOCK_SLOT,
            Place::FlipFlop(number) => FIRST_FLIP_FLOP + number,
            Place::MemoryBit(memory, bit) => after_flip_flops + 16 * memory + Slot::from(bit),
            Place::Table(number) => first_table + number,
        };
        let of = |id: Id| slot(self.slot[id as usize]);
        let latches = flip_flops.iter().map(|flip_flop| Latch {
            data: of(flip_flop.data),
            clock: of(flip_flop.clock),
            enable: of(flip_flop.enable),
            set_reset: of(flip_flop.set_reset),
            falling: flip_flop.falling,
            set: flip_flop.set,
            asynchronous: flip_flop.asynchronous,
        });
        let lookups =
            self.tables.iter().map(|&(bits, places)| Lookup { bits, inputs: places.map(slot) });
        let circuit = Circuit {
            pin: of(self.graph.pin),
            pin_enable: of(self.graph.pin_enable),
            latches: latches.collect(),
            memories: memories.iter().map(|memory| memory.map(of)).collect(),
            lookups: lookups.collect(),
            carries: self.carries,
            pads: self.pads,
            pll: self.pll.map(|pll| pll.ratio),
        };
        match self.pll {
            Some(pll) if board.get() => {
                Err(pll
                    .refused("its phase to the clock of the board, which counts too, is not known"))
            }
            _ => Ok(circuit),
        }
    }
}
