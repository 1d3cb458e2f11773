// A shift register of 32 stages beside a counter of 24 bits: nothing repeats within a second, so
// that every cycle must be simulated.
module top (input clk, output reg out = 0);
    reg [31:0] stage = 0;
    reg [23:0] count = 0;

    always @(posedge clk) begin
        stage <= {stage[30:0], ~(stage[31] ^ stage[21] ^ stage[1] ^ stage[0])};
        if (stage[7])
            count <= count + 24'd1;
        out <= count[11] ^ stage[31];
    end
endmodule
