// A shift register with linear feedback that enables a counter with an odd end.
module top (input clk, output reg out = 0);
    reg [31:0] state = 1;
    reg [23:0] count = 0;

    always @(posedge clk) begin
        state <= {state[30:0], ~(state[31] ^ state[21] ^ state[1] ^ state[0])};
        if (state[4:0] == 5'd9)
            count <= count == 24'd1000002 ? 24'd0 : count + 24'd1;
        out <= count[3] ^ state[17];
    end
endmodule
