// One pulse every 3888 cycles: 12,345 whole periods fit into the 48,000,000 cycles of a second.
module top (input clk, output reg out = 0);
    reg [11:0] count = 0;

    always @(posedge clk) begin
        out <= count == 12'd3887;
        count <= count == 12'd3887 ? 12'd0 : count + 12'd1;
    end
endmodule
