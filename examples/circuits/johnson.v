// A Johnson counter of five stages behind a divider by 16: a square wave of 300 kHz.
module top (input clk, output out);
    reg [3:0] divider = 0;
    reg [4:0] ring = 0;

    always @(posedge clk) begin
        divider <= divider + 4'd1;
        if (divider == 4'd15)
            ring <= {ring[3:0], ~ring[4]};
    end

    assign out = ring[4];
endmodule
