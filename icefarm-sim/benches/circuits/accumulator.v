// Sums that feed on each other by way of a carry chain of 32 stages: they permute their states, so
// that none repeats for long.
module top (input clk, output reg out = 0);
    reg [31:0] last = 0, sum = 1;

    always @(posedge clk) begin
        last <= sum;
        sum <= last + {sum[18:0], sum[31:19] ^ 13'd4503};
        out <= sum[31] ^ last[15];
    end
endmodule
