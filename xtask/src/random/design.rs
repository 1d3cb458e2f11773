//! Random but legal Verilog: registers in several clock domains, logic, memories and pads.

use super::expression;
use crate::mutants::random::Random;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A circuit as Verilog. Its ports are `clk`, the observed `pin`, and sometimes `pad`.
pub(super) struct Design {
    /// What it was made from; the same seed gives the same circuit.
    pub(super) seed: u64,
    /// The name of its module.
    pub(super) name: String,
    pub(super) verilog: String,
    /// What is special about it, for the report.
    pub(super) features: BTreeSet<&'static str>,
}

/// A signal that later parts can look at.
pub(super) struct Signal {
    pub(super) name: String,
    pub(super) width: usize,
    /// The domain in whose time it changes.
    pub(super) domain: usize,
    /// Whether it is the output of registers, and so free of glitches.
    pub(super) register: bool,
    /// Whether these are all 0 at the start.
    pub(super) low: bool,
}

/// The edge of a signal at which registers act.
struct Domain {
    clock: String,
    falling: bool,
}

/// A circuit in the making.
pub(super) struct Maker {
    pub(super) random: Random,
    pub(super) body: String,
    pub(super) signals: Vec<Signal>,
    pub(super) features: BTreeSet<&'static str>,
    domains: Vec<Domain>,
}

impl Design {
    pub(super) fn new(seed: u64) -> Self {
        let mut maker = Maker {
            random: Random::new(seed),
            body: String::new(),
            signals: Vec::new(),
            features: BTreeSet::new(),
            domains: vec![Domain { clock: "clk".to_owned(), falling: false }],
        };
        maker.start();
        let parts = maker.random.between(3, 9);
        for _ in 0..parts {
            maker.part();
        }
        let ports = maker.pads();
        if maker.random.chance(6) {
            maker.pll();
        }
        let name = format!("random_{seed}");
        let verilog = format!("module {name} ({ports});\n{}endmodule\n", maker.body);
        Self { seed, name, verilog, features: maker.features }
    }
}

impl Maker {
    pub(super) fn line(&mut self, line: &str) {
        self.body += "    ";
        self.body += line;
        self.body.push('\n');
    }

    pub(super) fn fresh(&self, what: &str) -> String {
        format!("{what}{}", self.signals.len())
    }

    /// A counter, so that there is something that moves.
    fn start(&mut self) {
        let width = self.random.between(2, 12);
        let name = self.fresh("r");
        let step = 2 * self.random.below(1 << (width - 1)) + 1;
        self.line(&format!("reg [{}:0] {name} = 0;", width - 1));
        self.line(&format!("always @(posedge clk) {name} <= {name} + {width}'d{step};"));
        self.signals.push(Signal { name, width, domain: 0, register: true, low: true });
    }

    fn part(&mut self) {
        match self.random.below(16) {
            0..=6 => self.register(),
            7..=9 => self.logic(),
            10..=12 => self.domain(),
            13 | 14 => self.memory(),
            _ => self.block_ram(),
        }
    }

    /// Most parts live in the first domain.
    pub(super) fn some_domain(&mut self) -> usize {
        if self.random.chance(50) {
            0
        } else {
            self.random.below(self.domains.len() as u64) as usize
        }
    }

    /// What goes between the parentheses of an `always @`.
    pub(super) fn edge(&self, domain: usize) -> String {
        let Domain { clock, falling } = &self.domains[domain];
        format!("{} {clock}", if *falling { "negedge" } else { "posedge" })
    }

    /// Registers with any of the kinds of enable, set and reset.
    fn register(&mut self) {
        let domain = self.some_domain();
        let width = self.random.between(1, 10);
        let name = self.fresh("r");
        let mask = (1u64 << width) - 1;
        let start = if self.random.chance(30) { self.random.below(mask + 1) } else { 0 };
        self.line(&format!("reg [{}:0] {name} = {width}'d{start};", width - 1));
        let next = match self.random.below(5) {
            0 => format!("{name} + {width}'d{}", self.random.below(mask) + 1),
            1 => {
                let taps = self.random.below(mask + 1) | 1 << (width - 1);
                format!("{{{name}, ~^({name} & {width}'d{taps})}}")
            }
            2 => format!("{{{name}, {}}}", expression::bit(self, domain)),
            3 => format!("{name} ^ ({})", expression::any(self, domain, 2)),
            _ => expression::any(self, domain, 3),
        };
        let mut statement = format!("{name} <= {next};");
        if self.random.chance(30) {
            self.features.insert("enable");
            statement = format!("if ({}) {statement}", expression::bit(self, domain));
        }
        let mut sensitive = self.edge(domain);
        let value = self.random.below(mask + 1);
        match self.random.below(6) {
            0 => {
                self.features.insert("synchronous reset");
                let reset = expression::bit(self, domain);
                statement = format!("if ({reset}) {name} <= {width}'d{value}; else {statement}");
            }
            1 => {
                // Only registers reset at once, as glitches of logic would do so as well; and they
                // are low at the start: a reset that is on from the start has no edge in Verilog.
                if let Some(reset) = expression::low_register_bit(self, domain) {
                    self.features.insert("asynchronous reset");
                    let reset_wire = self.fresh("reset");
                    self.line(&format!("wire {reset_wire} = {reset};"));
                    write!(sensitive, ", posedge {reset_wire}").unwrap_or_default();
                    statement =
                        format!("if ({reset_wire}) {name} <= {width}'d{value}; else {statement}");
                }
            }
            _ => {}
        }
        self.line(&format!("always @({sensitive}) {statement}"));
        self.signals.push(Signal { name, width, domain, register: true, low: start == 0 });
    }

    fn logic(&mut self) {
        let domain = self.some_domain();
        let width = self.random.between(1, 12);
        let name = self.fresh("w");
        let value = expression::any(self, domain, 4);
        self.line(&format!("wire [{}:0] {name} = {value};", width - 1));
        self.signals.push(Signal { name, width, domain, register: false, low: false });
    }

    /// Another clock: the other edge, a divided one, or one behind a gate.
    fn domain(&mut self) {
        if self.domains.len() > 3 {
            return self.register();
        }
        let falling = self.random.chance(30);
        let from = self.some_domain();
        let Some(source) = expression::register_bit(self, from) else { return self.register() };
        let name = self.fresh("clock");
        match self.random.below(3) {
            0 => {
                self.features.insert("both edges");
                let clock = self.domains[from].clock.clone();
                let falling = !self.domains[from].falling;
                self.domains.push(Domain { clock, falling });
                return self.register();
            }
            1 => {
                self.features.insert("derived clock");
                self.line(&format!("wire {name} = {source};"));
            }
            _ => {
                // The gate moves while the clock is low, as one would build it.
                self.features.insert("gated clock");
                let gate = self.fresh("gate");
                self.line(&format!("reg {gate} = 0;"));
                self.line(&format!("always @(negedge clk) {gate} <= {source};"));
                self.line(&format!("wire {name} = clk & {gate};"));
            }
        }
        self.domains.push(Domain { clock: name, falling });
        let domain = self.domains.len() - 1;
        // Something that moves in the new domain.
        let width = self.random.between(1, 6);
        let name = self.fresh("r");
        self.line(&format!("reg [{}:0] {name} = 0;", width - 1));
        self.line(&format!("always @({}) {name} <= {name} + 1'b1;", self.edge(domain)));
        self.signals.push(Signal { name, width, domain, register: true, low: true });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_circuit() {
        for seed in 0..50 {
            let (one, two) = (Design::new(seed), Design::new(seed));
            assert_eq!(one.verilog, two.verilog);
            assert!(one.verilog.starts_with(&format!("module random_{seed} (")), "{}", one.verilog);
        }
        assert_ne!(Design::new(1).verilog[20..], Design::new(2).verilog[20..]);
    }
}
