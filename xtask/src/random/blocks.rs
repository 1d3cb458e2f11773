//! Memories and pads.

use super::design::{Maker, Signal};
use super::expression;

impl Maker {
    /// A memory that the tools have to turn into block RAM.
    pub(super) fn memory(&mut self) {
        let (reads, writes) = (self.some_domain(), self.some_domain());
        let (depth, width) = (self.random.between(2, 9), self.random.between(1, 16));
        let (factor, offset) = (self.random.below(1 << 16), self.random.below(1 << 16));
        let (name, output, index) = (self.fresh("memory"), self.fresh("m"), self.fresh("i"));
        self.line(&format!(
            "(* ram_style = \"block\" *) reg [{}:0] {name} [0:{}];",
            width - 1,
            (1 << depth) - 1
        ));
        self.line(&format!("integer {index};"));
        self.line(&format!(
            "initial for ({index} = 0; {index} < {}; {index} = {index} + 1) {name}[{index}] = \
             ({index} + 1) * {factor} + {offset};",
            1 << depth
        ));
        self.line(&format!("reg [{}:0] {output} = 0;", width - 1));
        let address = self.address(reads, depth);
        self.line(&format!("always @({}) {output} <= {name}[{address}];", self.edge(reads)));
        if self.random.chance(60) {
            self.features.insert("memory");
            let address = self.address(writes, depth);
            let enable = expression::bit(self, writes);
            let data = expression::any(self, writes, 2);
            self.line(&format!(
                "always @({}) if ({enable}) {name}[{address}] <= {data};",
                self.edge(writes)
            ));
        } else {
            self.features.insert("read-only memory");
        }
        self.signals.push(Signal {
            name: output,
            width,
            domain: reads,
            register: false,
            low: false,
        });
    }

    /// A wire of so many bits to be an address.
    fn address(&mut self, domain: usize, width: usize) -> String {
        // The name of no signal, so that it is not taken for one.
        let name = format!("a{}", self.body.len());
        let value = expression::any(self, domain, 2);
        self.line(&format!("wire [{}:0] {name} = {value};", width - 1));
        name
    }

    /// The cell itself, with ports of any two widths, masks and enables.
    pub(super) fn block_ram(&mut self) {
        self.features.insert("SB_RAM40_4K");
        let (reads, writes) = (self.some_domain(), self.some_domain());
        let (read_mode, write_mode) = (self.random.below(4), self.random.below(4));
        let name = self.fresh("m");
        self.line(&format!("wire [15:0] {name};"));
        let (read_address, write_address) = (self.address(reads, 11), self.address(writes, 11));
        let (data, mask) = (self.address(writes, 16), self.address(writes, 16));
        let (read, write) = (self.clock_of(reads), self.clock_of(writes));
        let suffix = match (read.1, write.1) {
            (false, false) => "",
            (true, false) => "NR",
            (false, true) => "NW",
            (true, true) => "NRNW",
        };
        let inverted = |falling: bool| if falling { "N" } else { "" };
        let contents: Vec<String> = (0..16)
            .map(|row| {
                let words: Vec<String> =
                    (0..4).map(|_| format!("{:016x}", self.random.next())).collect();
                format!(".INIT_{row:X}(256'h{})", words.join(""))
            })
            .collect();
        let enable = |maker: &mut Self, domain: usize| match maker.random.below(3) {
            0 => expression::bit(maker, domain),
            _ => "1'b1".to_owned(),
        };
        let ports = [
            format!(".RDATA({name}), .RADDR({read_address}), .WADDR({write_address})"),
            format!(".WDATA({data}), .MASK({mask})"),
            format!(
                ".RCLK{}({}), .WCLK{}({})",
                inverted(read.1),
                read.0,
                inverted(write.1),
                write.0
            ),
            format!(".RE({}), .RCLKE({})", enable(self, reads), enable(self, reads)),
            format!(".WE({}), .WCLKE({})", enable(self, writes), enable(self, writes)),
        ];
        self.line(&format!(
            "SB_RAM40_4K{suffix} #(.READ_MODE({read_mode}), .WRITE_MODE({write_mode}), {}) ram_{name} ({});",
            contents.join(", "),
            ports.join(", ")
        ));
        self.signals.push(Signal { name, width: 16, domain: reads, register: false, low: false });
    }

    /// The clock of a domain, and whether its falling edge counts.
    fn clock_of(&self, domain: usize) -> (String, bool) {
        let edge = self.edge(domain);
        match edge.split_once(' ') {
            Some((kind, clock)) => (clock.to_owned(), kind == "negedge"),
            None => (edge, false),
        }
    }

    /// Puts the PLL between the clock and everything.
    pub(super) fn pll(&mut self) {
        self.features.insert("PLL");
        // The oscillator must run at 533 to 1066 MHz. Pin 35 belongs to the PLL, so that the kind
        // with a reference from the fabric cannot have it.
        let factor = self.random.between(12, 22) as u64;
        let divide = self.random.between(3, 6);
        let output = ["PLLOUTGLOBAL", "PLLOUTCORE"][self.random.below(2) as usize];
        let select = ["GENCLK", "GENCLK_HALF"][self.random.below(2) as usize];
        let body = self.body.replace("clk", "fast");
        self.body.clear();
        self.line("wire fast;");
        self.line(&format!(
            "SB_PLL40_PAD #(.FEEDBACK_PATH(\"SIMPLE\"), .PLLOUT_SELECT(\"{select}\"), .DIVR(0), \
             .DIVF({}), .DIVQ({divide}), .FILTER_RANGE(4)) pll (.PACKAGEPIN(clk), .{output}(fast), \
             .RESETB(1'b1), .BYPASS(1'b0));",
            factor - 1
        ));
        self.body += &body;
    }

    /// The pads; gives the list of ports.
    pub(super) fn pads(&mut self) -> String {
        let mut ports = "input clk, ".to_owned();
        if self.random.chance(15) {
            ports += "inout pad, ";
            self.read_back();
        }
        let domain = self.some_domain();
        let value = match self.random.below(3) {
            0 => format!("^({})", expression::any(self, domain, 2)),
            _ => expression::register_bit(self, domain)
                .unwrap_or_else(|| expression::bit(self, domain)),
        };
        if self.random.chance(50) {
            self.line(&format!("assign pin = {value};"));
            return ports + "output pin";
        }
        let (kind, feature) = [
            ("010100", "registered output"),
            ("011100", "inverted output"),
            ("010000", "double data rate"),
            ("101000", "tri-state"),
            ("110100", "registered tri-state"),
        ][self.random.below(5) as usize];
        self.features.insert(feature);
        let mut more = String::new();
        if kind == "010000" {
            // Mostly the same, as a pin that changes in every half cycle is too fast for a counter.
            let second =
                if self.random.chance(70) { value.clone() } else { expression::bit(self, domain) };
            more += &format!(", .D_OUT_1({second})");
        }
        if kind.starts_with('1') {
            let enable = match self.random.below(3) {
                0 => expression::bit(self, domain),
                1 => self.once_and_for_all(domain),
                _ => "1'b1".to_owned(),
            };
            more += &format!(", .OUTPUT_ENABLE({enable})");
        }
        if self.random.chance(30) && kind != "101000" {
            more += &format!(", .CLOCK_ENABLE({})", expression::bit(self, domain));
            self.features.insert("clock enable of a pad");
        }
        let (clock, falling) = self.clock_of(domain);
        let clock =
            if kind == "101000" { String::new() } else { format!(", .OUTPUT_CLK({clock})") };
        self.line(&format!(
            "SB_IO #(.PIN_TYPE(6'b{kind}), .NEG_TRIGGER(1'b{})) io_pin (.PACKAGE_PIN(pin), \
             .D_OUT_0({value}){more}{clock});",
            u8::from(falling && kind != "101000")
        ));
        ports + "inout pin"
    }

    /// A register that becomes 1 after a while and stays so.
    fn once_and_for_all(&mut self, domain: usize) -> String {
        let name = self.fresh("go");
        let when = expression::bit(self, domain);
        self.line(&format!("reg {name} = 0;"));
        self.line(&format!("always @({}) if ({when}) {name} <= 1'b1;", self.edge(domain)));
        name
    }

    /// A pad that drives itself, with the registers on its way back.
    fn read_back(&mut self) {
        self.features.insert("read-back pad");
        let domain = self.some_domain();
        let (output, input) = (self.fresh("back"), self.fresh("second"));
        let value = expression::bit(self, domain);
        let (clock, falling) = self.clock_of(domain);
        let kind = ["01", "00"][self.random.below(2) as usize];
        self.line(&format!("wire [0:0] {output};"));
        self.line(&format!("wire [0:0] {input};"));
        self.line(&format!(
            "SB_IO #(.PIN_TYPE(6'b0110{kind}), .NEG_TRIGGER(1'b{})) io_pad (.PACKAGE_PIN(pad), \
             .D_OUT_0({value}), .INPUT_CLK({clock}), .D_IN_0({output}), .D_IN_1({input}));",
            u8::from(falling)
        ));
        self.signals.push(Signal { name: output, width: 1, domain, register: false, low: false });
        self.signals.push(Signal { name: input, width: 1, domain, register: false, low: false });
    }
}
