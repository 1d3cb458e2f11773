//! The parser against whole, damaged and made-up files.

use crate::files::bundled;
use icefarm_sim::fpga::{Bitstream, Editor, Refusal, Tile};
use proptest::prelude::*;
use std::sync::LazyLock;

static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| bundled("pulses_1000.bin"));

fn code(bytes: &[u8]) -> &'static str {
    Bitstream::parse(bytes).unwrap_err().code()
}

/// A bitstream of commands, with the checksum of the device at the end if `crc` is right.
fn file(commands: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0xFF, 0x00, 0x00, 0xFF, 0x7E, 0xAA, 0x99, 0x7E];
    commands.iter().for_each(|command| bytes.extend_from_slice(command));
    bytes
}

#[test]
fn reads_what_icepack_writes() {
    assert_eq!(GOOD.len(), 104_090);
    Bitstream::parse(&GOOD).unwrap();
}

#[test]
fn surroundings_do_not_matter() {
    let bytes = [b"a comment".as_slice(), &GOOD, &[0xA5; 7]].concat();
    assert_eq!(Bitstream::parse(&bytes).unwrap(), Bitstream::parse(&GOOD).unwrap());
}

#[test]
fn no_preamble() {
    assert_eq!(code(b""), "no_preamble");
    assert_eq!(code(&[0xFF; 2000]), "no_preamble");
    assert_eq!(code(&GOOD[8..]), "no_preamble");
}

#[test]
fn truncated() {
    for length in [8, 9, 20, 27, 30, 104_000] {
        assert_eq!(code(&GOOD[..length]), "truncated", "{length}");
    }
    let refusal = Bitstream::parse(&GOOD[..1000]).unwrap_err();
    assert_eq!(refusal, Refusal::Truncated { at: 1000 });
}

#[test]
fn damaged_data_fail_the_checksum() {
    let mut bytes = GOOD.clone();
    bytes[40_000] ^= 0x10;
    let Err(Refusal::BadCrc { at, expected, found }) = Bitstream::parse(&bytes) else {
        panic!("the damage went unseen");
    };
    assert_ne!(expected, found);
    assert_eq!(bytes[at..at + 2], found.to_be_bytes());
}

#[test]
fn a_wake_up_needs_a_checksum_before_it() {
    assert_eq!(code(&file(&[&[0x01, 0x05], &[0x01, 0x06]])), "no_crc");
}

#[test]
fn unknown_commands() {
    assert_eq!(code(&file(&[&[0x01, 0x09]])), "unknown_command");
    assert_eq!(code(&file(&[&[0x11, 0x04]])), "unknown_command");
    assert_eq!(code(&file(&[&[0xF0]])), "unknown_command");
    assert_eq!(code(&file(&[&[0x6F]])), "unknown_command");
}

#[test]
fn other_devices() {
    // The iCE40HX1K writes banks of 332 by 144 bits.
    let small = file(&[&[0x62, 0x01, 0x4B], &[0x72, 0x00, 0x90], &[0x01, 0x01], &[0; 6000]]);
    assert_eq!(code(&small), "wrong_device");
    // As wide as the UP5K, but with too many rows.
    let tall = file(&[&[0x62, 0x02, 0xB3], &[0x72, 0x01, 0x58], &[0x01, 0x01], &[0; 40_000]]);
    assert_eq!(code(&tall), "wrong_device");
    // Nothing at all is configured; the right checksum is taken from the refusal of a wrong one.
    let mut empty = file(&[&[0x01, 0x05], &[0x22, 0, 0], &[0x01, 0x06]]);
    let Err(Refusal::BadCrc { at, expected, .. }) = Bitstream::parse(&empty) else {
        panic!("the checksum cannot be right");
    };
    empty[at..at + 2].copy_from_slice(&expected.to_be_bytes());
    assert_eq!(code(&empty), "wrong_device");
}

#[test]
fn blocks_that_do_not_fit() {
    let odd = file(&[&[0x62, 0x02, 0xB3], &[0x72, 0x00, 0x01], &[0x01, 0x01], &[0; 200]]);
    assert_eq!(code(&odd), "bad_block");
    let mut unfinished = GOOD.clone();
    // Two zero bytes end the first block of 29,064 bytes.
    let end = unfinished.windows(2).position(|w| w == [0x01, 0x01]).unwrap() + 2 + 29_064;
    unfinished[end] = 1;
    assert_eq!(code(&unfinished), "bad_block");
}

#[test]
fn hostile_sizes_cost_nothing() {
    let huge = file(&[&[0x62, 0xFF, 0xFF], &[0x72, 0xFF, 0xFF], &[0x01, 0x01], &[0; 100]]);
    assert_eq!(code(&huge), "truncated");
}

#[test]
fn flipping_a_bit_twice_gives_the_file_back() {
    let tile = Tile { x: 7, y: 28 };
    let flip = |bytes: Vec<u8>| {
        let mut editor = Editor::new(bytes).unwrap();
        assert!(editor.flip(tile, 3, 40));
        editor.finish()
    };
    let once = flip(GOOD.clone());
    assert_ne!(Bitstream::parse(&once).unwrap(), Bitstream::parse(&GOOD).unwrap());
    assert_eq!(flip(once), *GOOD);
}

#[test]
fn the_editor_knows_which_bits_there_are() {
    let mut editor = Editor::new(GOOD.clone()).unwrap();
    assert!(!editor.flip(Tile { x: 7, y: 28 }, 16, 0));
    assert!(!editor.flip(Tile { x: 7, y: 28 }, 0, 54));
    assert!(!editor.flip(Tile { x: 6, y: 28 }, 0, 42));
    assert!(!editor.flip_cram(1, 176, 0));
    assert_eq!(editor.finish(), *GOOD);
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = Bitstream::parse(&bytes);
        let with_preamble = file(&[&bytes]);
        let _ = Bitstream::parse(&with_preamble);
    }

    #[test]
    fn any_commands(commands in proptest::collection::vec(
        (prop_oneof![Just(0x01u8), Just(0x11), Just(0x22), Just(0x62), Just(0x72), Just(0x82)],
         any::<u8>(), any::<u8>()), 0..40)) {
        let bytes: Vec<u8> =
            commands.iter().flat_map(|&(c, a, b)| [c, a, b].into_iter().take(1 + usize::from(c & 15))).collect();
        let _ = Bitstream::parse(&file(&[&bytes, &[0; 4000]]));
    }

    #[test]
    fn any_truncation(length in 0usize..104_090) {
        match Bitstream::parse(&GOOD[..length]) {
            // Only what follows the wake-up may be missing.
            Ok(_) => prop_assert!(length > 104_080),
            Err(refusal) => prop_assert!(["truncated", "no_preamble"].contains(&refusal.code())),
        }
    }

    #[test]
    fn any_flipped_bits(flips in proptest::collection::vec((0usize..104_090, 0u8..8), 1..6)) {
        let mut bytes = GOOD.clone();
        flips.iter().for_each(|&(at, bit)| bytes[at] ^= 1 << bit);
        if let Ok(bitstream) = Bitstream::parse(&bytes) {
            // CRC-16 sees every single flipped bit; what passes was not part of the configuration.
            if bytes.iter().zip(GOOD.iter()).filter(|(a, b)| a != b).count() == 1 {
                prop_assert_eq!(bitstream, Bitstream::parse(&GOOD).unwrap());
            }
        }
    }
}
