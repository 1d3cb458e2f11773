// A ripple counter: every stage is clocked by the falling edge of the one before. Its clocks are
// derived ones, which need the general way of simulating.
module top (input clk, output out);
    reg [14:0] stage = 0;

    always @(posedge clk) stage[0] <= ~stage[0];
    genvar i;
    generate
        for (i = 1; i < 15; i = i + 1) begin : chain
            always @(negedge stage[i - 1]) stage[i] <= ~stage[i];
        end
    endgenerate

    assign out = stage[14];
endmodule
