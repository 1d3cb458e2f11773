// Runs on the PLL: 48 MHz * 20 / 32 = 30 MHz, of which one tick in 1,000 is a pulse.
module top (input clk, output reg out = 0);
    wire fast;
    reg [11:0] count = 0;

    SB_PLL40_PAD #(
        .FEEDBACK_PATH("SIMPLE"),
        .DIVR(4'd0),
        .DIVF(7'd19),
        .DIVQ(3'd5),
        .FILTER_RANGE(3'd4)
    ) pll (
        .PACKAGEPIN(clk),
        .PLLOUTGLOBAL(fast),
        .RESETB(1'b1),
        .BYPASS(1'b0)
    );

    always @(posedge fast) begin
        out <= count == 12'd999;
        count <= count == 12'd999 ? 12'd0 : count + 12'd1;
    end
endmodule
