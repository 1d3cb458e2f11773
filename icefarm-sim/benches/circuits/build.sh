#!/bin/sh
# Builds the bitstreams of this folder as those of the examples are built.
set -eu
cd "$(dirname "$0")"
examples=../../../examples/circuits
[ $# -gt 0 ] || set -- *.v
for source in "$@"; do
    name=${source%.v}
    work=$(mktemp -d)
    yosys -q -p "synth_ice40 -top top -json $work/$name.json" "$source"
    nextpnr-ice40 -q --up5k --package sg48 --pcf "$examples/pico2-ice.pcf" --seed 1 \
        --json "$work/$name.json" --asc "$work/$name.asc"
    icepack "$work/$name.asc" "$name.bin"
    rm -r "$work"
done
