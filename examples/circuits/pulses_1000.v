// One pulse of one clock cycle every 48,000 cycles: 1000 pulses in a second at 48 MHz.
module top (input clk, output reg out = 0);
    reg [15:0] count = 0;

    always @(posedge clk) begin
        out <= count == 16'd47999;
        count <= count == 16'd47999 ? 16'd0 : count + 16'd1;
    end
endmodule
