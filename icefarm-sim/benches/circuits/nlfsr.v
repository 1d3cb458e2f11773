// Two shift registers of 32 stages with feedback that is not linear, each of which disturbs the other.
module top (input clk, output reg out = 0);
    reg [31:0] a = 1, b = 0;
    wire next_a = a[31] ^ a[21] ^ a[1] ^ (a[7] & a[13]) ^ (a[26] & b[5]) ^ b[31];
    wire next_b = ~(b[31] ^ b[27] ^ b[0] ^ (b[9] & b[17]) ^ (b[22] | a[11]) ^ a[31]);

    always @(posedge clk) begin
        a <= {a[30:0], next_a};
        b <= {b[30:0], next_b};
        out <= a[3] ^ b[8];
    end
endmodule
