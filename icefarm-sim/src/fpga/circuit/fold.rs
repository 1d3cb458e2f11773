//! Finds what is constant, so that it cannot carry a reason to refuse.

use super::graph::{CLOCK, FlipFlop, Graph, Id, Node, Table, depends, restrict};
use super::memory::Port;

/// What is known of the level of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Constant(bool),
    /// It changes, or it is not known.
    Varies,
}

use Level::{Constant, Varies};

/// The level of every node that is the same at all times.
///
/// Tables are evaluated from what is known of their inputs; in a loop of tables nothing is assumed
/// of the loop itself. Flip-flops start at 0; one that can only ever take 0 again is constant.
/// Assuming that of all of them at first, and giving up those that can become 1 until the rest
/// keeps itself at 0, finds the largest such set.
pub(super) fn levels(graph: &Graph) -> Vec<Level> {
    let mut fold = Fold::new(graph);
    let tables: Vec<Id> = fold.all(|node| matches!(node, Node::Table(_)));
    fold.settle(tables);
    let mut still: Vec<Id> =
        fold.all(|node| matches!(node, Node::FlipFlop(_) | Node::MemoryBit { .. }));
    loop {
        let (rising, rest): (Vec<Id>, Vec<Id>) =
            still.into_iter().partition(|&id| fold.can_become_high(id));
        if rising.is_empty() {
            return fold.levels;
        }
        still = rest;
        fold.release(&rising);
    }
}

struct Fold<'a> {
    graph: &'a Graph,
    levels: Vec<Level>,
    /// The tables that look at each node.
    readers: Vec<Vec<Id>>,
}

impl<'a> Fold<'a> {
    fn new(graph: &'a Graph) -> Self {
        let mut readers = vec![Vec::new(); graph.nodes.len()];
        for (id, node) in graph.nodes.iter().enumerate() {
            if let Node::Table(table) = node {
                for input in table.inputs.into_iter().filter(|&input| input > CLOCK) {
                    readers[input as usize].push(id as Id);
                }
            }
        }
        let levels = graph.nodes.iter().map(|node| match node {
            Node::Constant(level) => Constant(*level),
            Node::FlipFlop(_) | Node::MemoryBit { .. } => Constant(false),
            Node::Clock | Node::Pll(_) | Node::Table(_) | Node::Blocked(_) => Varies,
        });
        Self { graph, levels: levels.collect(), readers }
    }

    fn all(&self, wanted: impl Fn(&Node) -> bool) -> Vec<Id> {
        let nodes = self.graph.nodes.iter().enumerate();
        nodes.filter(|(_, node)| wanted(node)).map(|(id, _)| id as Id).collect()
    }

    fn level(&self, id: Id) -> Level {
        self.levels[id as usize]
    }

    /// Evaluates tables, and those that look at them, until nothing more becomes constant.
    fn settle(&mut self, mut open: Vec<Id>) {
        while let Some(id) = open.pop() {
            let Node::Table(table) = self.graph.node(id) else { continue };
            if self.level(id) == Varies
                && let level @ Constant(_) = evaluate(table, &self.levels)
            {
                self.levels[id as usize] = level;
                open.extend_from_slice(&self.readers[id as usize]);
            }
        }
    }

    /// Whether a flip-flop that is 0 can take or be given 1, as far as is known.
    fn can_become_high(&self, id: Id) -> bool {
        let flip_flop = match self.graph.node(id) {
            Node::FlipFlop(flip_flop) => flip_flop,
            Node::MemoryBit { memory, .. } => {
                let memory = &self.graph.memories[usize::from(*memory)];
                let filled = memory.contents.iter().any(|&word| word != 0);
                let acts = |port| acts(port, &self.levels);
                return acts(&memory.read) && (filled || acts(&memory.write));
            }
            _ => return false,
        };
        let FlipFlop { data, clock, enable, set_reset, set, asynchronous, .. } = *flip_flop;
        let may = |id: Id, level: bool| self.level(id) != Constant(!level);
        let set_at_once = asynchronous && set && may(set_reset, true);
        let edges = self.level(clock) == Varies;
        let by_clock = (set && may(set_reset, true)) || (may(data, true) && may(set_reset, false));
        set_at_once || (edges && may(enable, true) && by_clock)
    }

    /// Takes back that some flip-flops are constant, and all that was concluded from it.
    fn release(&mut self, flip_flops: &[Id]) {
        let mut affected = Vec::new();
        let mut open = Vec::new();
        for &id in flip_flops {
            self.levels[id as usize] = Varies;
            open.extend_from_slice(&self.readers[id as usize]);
        }
        while let Some(id) = open.pop() {
            if self.level(id) != Varies {
                self.levels[id as usize] = Varies;
                affected.push(id);
                open.extend_from_slice(&self.readers[id as usize]);
            }
        }
        self.settle(affected);
    }
}

/// Whether a port of a memory may ever do something, as far as is known.
pub(super) fn acts(port: &Port<Id>, levels: &[Level]) -> bool {
    let level = |id: Id| levels[id as usize];
    level(port.clock) == Varies && port.enables.iter().all(|&id| level(id) != Constant(false))
}

/// The level of a table as far as its inputs are known.
fn evaluate(table: &Table, levels: &[Level]) -> Level {
    match reduce(table, levels) {
        0x0000 => Constant(false),
        0xFFFF => Constant(true),
        _ => Varies,
    }
}

/// The truth table that is left when the constant inputs are put in.
pub(super) fn reduce(table: &Table, levels: &[Level]) -> u16 {
    let inputs = table.inputs.iter().enumerate();
    inputs.fold(table.bits, |bits, (number, &input)| match levels[input as usize] {
        Constant(level) => restrict(bits, number, level),
        Varies => bits,
    })
}

/// The single input whose level a truth table passes on unchanged, if there is one.
pub(super) fn passes(bits: u16) -> Option<usize> {
    [0xAAAA, 0xCCCC, 0xF0F0, 0xFF00].iter().position(|&same| same == bits)
}

/// The inputs that a truth table depends on.
pub(super) fn inputs(bits: u16) -> impl Iterator<Item = usize> {
    (0..4).filter(move |&input| depends(bits, input))
}

#[cfg(test)]
mod tests {
    use super::super::super::{Refusal, Tile};
    use super::super::graph::{Cell, HIGH, LOW, Role};
    use super::*;

    fn table(graph: &mut Graph, bits: u16, inputs: [Id; 4]) -> Id {
        let cell = Cell { tile: Tile { x: 1, y: 1 }, index: 0 };
        graph.add(Node::Table(Table { bits, inputs, cell, role: Role::Logic }))
    }

    fn flip_flop(graph: &mut Graph, data: Id) -> Id {
        graph.add(Node::FlipFlop(FlipFlop {
            data,
            clock: CLOCK,
            enable: HIGH,
            set_reset: LOW,
            falling: false,
            set: false,
            asynchronous: false,
        }))
    }

    fn feed(graph: &mut Graph, id: Id, source: Id) {
        match &mut graph.nodes[id as usize] {
            Node::FlipFlop(flip_flop) => flip_flop.data = source,
            Node::Table(table) => table.inputs[0] = source,
            _ => {}
        }
    }

    const NOT: u16 = 0x5555;
    const SAME: u16 = 0xAAAA;
    const AND: u16 = 0x8888;

    #[test]
    fn a_reason_behind_a_closed_gate_does_not_count() {
        let mut graph = Graph::new();
        let unknown = graph.add(Node::Blocked(Box::new(Refusal::ClockOnPin)));
        let zero = table(&mut graph, AND, [HIGH, LOW, LOW, LOW]);
        let gate = table(&mut graph, AND, [unknown, zero, LOW, LOW]);
        let open = table(&mut graph, AND, [unknown, HIGH, LOW, LOW]);
        let levels = levels(&graph);
        assert_eq!(levels[gate as usize], Constant(false));
        assert_eq!(levels[open as usize], Varies);
    }

    #[test]
    fn flip_flops_that_keep_each_other_at_zero_are_constant() {
        let mut graph = Graph::new();
        let a = flip_flop(&mut graph, LOW);
        let b = flip_flop(&mut graph, a);
        let same = table(&mut graph, SAME, [b, LOW, LOW, LOW]);
        feed(&mut graph, a, same);
        let toggle = flip_flop(&mut graph, LOW);
        let inverted = table(&mut graph, NOT, [toggle, LOW, LOW, LOW]);
        feed(&mut graph, toggle, inverted);
        let after = flip_flop(&mut graph, toggle);
        let levels = levels(&graph);
        assert_eq!(levels[a as usize], Constant(false));
        assert_eq!(levels[b as usize], Constant(false));
        assert_eq!(levels[same as usize], Constant(false));
        assert_eq!(levels[toggle as usize], Varies);
        assert_eq!(levels[after as usize], Varies);
    }

    #[test]
    fn a_loop_of_tables_assumes_nothing_of_itself() {
        let mut graph = Graph::new();
        let latch = table(&mut graph, SAME, [LOW; 4]);
        feed(&mut graph, latch, latch);
        // This one is a loop in wires only.
        let constant = table(&mut graph, 0xFF55, [LOW, LOW, LOW, HIGH]);
        feed(&mut graph, constant, constant);
        let levels = levels(&graph);
        assert_eq!(levels[latch as usize], Varies);
        assert_eq!(levels[constant as usize], Constant(true));
    }

    #[test]
    fn an_asynchronous_set_needs_no_clock() {
        let mut graph = Graph::new();
        let set = flip_flop(&mut graph, LOW);
        if let Node::FlipFlop(flip_flop) = &mut graph.nodes[set as usize] {
            (flip_flop.clock, flip_flop.set_reset) = (LOW, CLOCK);
            (flip_flop.set, flip_flop.asynchronous) = (true, true);
        }
        let stopped = flip_flop(&mut graph, HIGH);
        if let Node::FlipFlop(flip_flop) = &mut graph.nodes[stopped as usize] {
            flip_flop.clock = HIGH;
        }
        let levels = levels(&graph);
        assert_eq!(levels[set as usize], Varies);
        assert_eq!(levels[stopped as usize], Constant(false));
    }
}
