#!/bin/sh
# Builds the bitstreams of this folder, or those that are named: ./build.sh [NAME.v ..]
# Debian: apt-get install yosys nextpnr-ice40 fpga-icestorm
set -eu
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- *.v
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
for source in "$@"; do
    name=${source%.v}
    yosys -q -p "synth_ice40 -top top -json $work/$name.json" "$source"
    # The ring oscillator has no timing to analyse.
    nextpnr-ice40 -q --up5k --package sg48 --pcf pico2-ice.pcf --seed 1 --ignore-loops \
        --json "$work/$name.json" --asc "$work/$name.asc"
    icepack "$work/$name.asc" "$name.bin"
    echo "$name.bin: $(wc -c < "$name.bin") bytes"
done
