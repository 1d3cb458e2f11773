// Two counters with odd ends, one enabled by the other: nothing repeats within a second.
module top (input clk, output reg out = 0);
    reg [24:0] fast = 0;
    reg [22:0] slow = 0;

    always @(posedge clk) begin
        fast <= fast == 25'd29999998 ? 25'd0 : fast + 25'd1;
        if (fast[2:0] == 3'd5)
            slow <= slow == 23'd7000002 ? 23'd0 : slow + 23'd1;
        out <= fast[9] ^ slow[4];
    end
endmodule
