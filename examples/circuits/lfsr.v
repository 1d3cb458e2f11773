// The output bit of a maximal shift register of 16 stages: a pseudo-random train of pulses that
// repeats after 65,535 cycles. The inverted feedback makes all zeros an ordinary state.
module top (input clk, output out);
    reg [15:0] stage = 0;

    always @(posedge clk)
        stage <= {stage[14:0], ~(stage[15] ^ stage[14] ^ stage[12] ^ stage[3])};

    assign out = stage[15];
endmodule
