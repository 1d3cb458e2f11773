// Three inverters in a ring: it runs on delays alone. A farm of real boards gives a figure that
// differs from board to board; a simulated board refuses it.
module top (input clk, output out);
    wire [2:0] ring;
    genvar i;
    generate
        for (i = 0; i < 3; i = i + 1) begin : stage
            (* keep *)
            SB_LUT4 #(.LUT_INIT(16'h5555)) inverter (
                .I0(ring[(i + 2) % 3]), .I1(1'b0), .I2(1'b0), .I3(1'b0), .O(ring[i]));
        end
    endgenerate

    assign out = ring[2];
endmodule
