//! Where the configuration bits of a tile lie in the four banks of CRAM.
//!
//! Facts from Project IceStorm (icepack's `CramIndexConverter`, format.html): the chip has 26 by
//! 32 tiles; each bank holds a quarter of them, counted from its corner of the chip, so that the
//! right and top halves are mirrored. A tile has 16 rows of bits. The tiles of a RAM column are 42
//! bits wide, all others 54; the 18 bits of an input/output tile are spread by a permutation.

use super::Tile;

/// Columns of tiles.
pub(super) const COLUMNS: u8 = 26;
/// Rows of tiles.
pub(super) const ROWS: u8 = 32;
/// Tiles on the chip, corners included.
pub(super) const TILES: usize = COLUMNS as usize * ROWS as usize;

/// Width of each CRAM bank in bits.
pub(super) const WIDTH: usize = 692;

/// Rows of bits in a CRAM bank: the lower half of the chip is taller.
pub(super) const fn height(bank: usize) -> usize {
    if bank.is_multiple_of(2) { 336 } else { 176 }
}

/// Width of a block RAM bank in bits.
pub(super) const fn bram_width(bank: usize) -> usize {
    if bank.is_multiple_of(2) { 160 } else { 80 }
}

/// Row by row, the bits of a tile; bit `c` of a word is column `c`.
pub(super) type TileBits = [u64; 16];

/// Bit `column` of row `row` of a tile.
pub(super) fn bit(bits: &TileBits, row: u8, column: u8) -> bool {
    bits[usize::from(row)] >> column & 1 != 0
}

/// A rectangle of bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plane {
    width: usize,
    words_per_row: usize,
    /// Bit `c % 64` of word `c / 64` of a row is column `c`.
    words: Vec<u64>,
}

impl Plane {
    pub(super) fn new(width: usize, height: usize) -> Self {
        // One word more than needed, so that a read across the end of a row needs no test.
        let words_per_row = width.div_ceil(64) + 1;
        Self { width, words_per_row, words: vec![0; words_per_row * height] }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn height(&self) -> usize {
        self.words.len() / self.words_per_row
    }

    /// Fills `count` rows from `offset` on with a stream of bits, most significant bit first.
    /// The caller has checked that rows and data are there.
    pub(super) fn load(&mut self, offset: usize, count: usize, data: &[u8]) {
        let rows = self.words.chunks_exact_mut(self.words_per_row).skip(offset).take(count);
        for (index, row) in rows.enumerate() {
            let start = index * self.width;
            for (number, word) in row.iter_mut().enumerate() {
                let done = number * 64;
                if done < self.width {
                    *word = stream_bits(data, start + done, (self.width - done).min(64));
                }
            }
        }
    }

    pub(super) fn bit(&self, row: usize, column: usize) -> bool {
        self.words[row * self.words_per_row + column / 64] >> (column % 64) & 1 != 0
    }

    /// Sixteen bits of a row, of which the last one is bit 0.
    pub(super) fn word(&self, row: usize, column: usize) -> u16 {
        (self.bits(row, column, 16) as u16).reverse_bits()
    }

    /// `count` (at most 63) bits of a row from `column` on; bit 0 is the first.
    fn bits(&self, row: usize, column: usize, count: usize) -> u64 {
        let word = row * self.words_per_row + column / 64;
        let both = u128::from(self.words[word]) | u128::from(self.words[word + 1]) << 64;
        (both >> (column % 64)) as u64 & ((1 << count) - 1)
    }
}

/// `count` (at most 64) bits from bit `at` of a stream that has the most significant bit of each
/// byte first; bit 0 of the result is the first.
fn stream_bits(data: &[u8], at: usize, count: usize) -> u64 {
    let first = at / 8;
    let mut bytes = [0; 16];
    let taken = &data[first..(at + count).div_ceil(8)];
    bytes[..taken.len()].copy_from_slice(taken);
    let lowest_first = u128::from_be_bytes(bytes).reverse_bits() >> (at % 8);
    if count == 64 { lowest_first as u64 } else { lowest_first as u64 & ((1 << count) - 1) }
}

const IO_COLUMNS: [u8; 18] = [23, 25, 26, 27, 16, 17, 18, 19, 20, 14, 32, 33, 34, 35, 36, 37, 4, 5];
const IO_ROWS: [u8; 16] = [0, 1, 3, 2, 4, 5, 7, 6, 8, 9, 11, 10, 12, 13, 15, 14];

/// A tile's place in its bank.
struct Place {
    bank: usize,
    /// The tile's first column and row of bits.
    column: usize,
    row: usize,
    width: usize,
    right: bool,
    top: bool,
    io: bool,
}

fn place(tile: Tile) -> Place {
    let (x, y) = (usize::from(tile.x), usize::from(tile.y));
    let (right, top) = (x > 12, y > 20);
    // Counted from the corner of the quarter.
    let (from_side, from_edge) = (if right { 25 - x } else { x }, if top { 31 - y } else { y });
    let column = from_side * 54 - if from_side > 6 { 12 } else { 0 };
    Place {
        bank: usize::from(top) | usize::from(right) << 1,
        column,
        row: from_edge * 16,
        width: if from_side == 6 { 42 } else { 54 },
        right,
        top,
        io: (y == 0 || y == 31) && x != 0 && x != 25,
    }
}

/// The bank and the first of the sixteen columns of the block RAM whose lower tile this is. A row of
/// the bank is a word (IceStorm, icepack's `BramIndexConverter`).
pub(super) fn ram_place(tile: Tile) -> (usize, usize) {
    let Place { bank, top, .. } = place(tile);
    let from_edge = usize::from(tile.y) - if top { 20 } else { 1 };
    (bank, 16 * (from_edge / 2))
}

/// Bank, row and column of one bit of a tile; `None` if the tile has no such bit.
pub(super) fn locate(tile: Tile, row: u8, column: u8) -> Option<(usize, usize, usize)> {
    let p = place(tile);
    let (row, column) = (usize::from(row), usize::from(column));
    let (row, column) = if p.io {
        (15 - usize::from(*IO_ROWS.get(row)?), usize::from(*IO_COLUMNS.get(column)?))
    } else if row < 16 && column < p.width {
        (if p.top { 15 - row } else { row }, column)
    } else {
        return None;
    };
    let column = if p.right { p.width - 1 - column } else { column };
    Some((p.bank, p.row + row, p.column + column))
}

/// All bits of a tile.
pub(super) fn tile_bits(cram: &[Plane; 4], tile: Tile) -> TileBits {
    let p = place(tile);
    let plane = &cram[p.bank];
    std::array::from_fn(|row| {
        let source = if p.io {
            15 - usize::from(IO_ROWS[row])
        } else if p.top {
            15 - row
        } else {
            row
        };
        let mut bits = plane.bits(p.row + source, p.column, p.width);
        if p.right {
            bits = bits.reverse_bits() >> (64 - p.width);
        }
        if p.io {
            let spread = IO_COLUMNS.iter().enumerate();
            bits = spread.fold(0, |word, (to, &from)| word | (bits >> from & 1) << to);
        }
        bits
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_bit_of_every_tile_has_its_own_place() {
        let mut seen = HashSet::new();
        for (x, y) in (0..COLUMNS).flat_map(|x| (0..ROWS).map(move |y| (x, y))) {
            let tile = Tile { x, y };
            for (row, column) in (0..16).flat_map(|r| (0..64).map(move |c| (r, c))) {
                if let Some((bank, r, c)) = locate(tile, row, column) {
                    assert!(r < height(bank) && c < WIDTH, "{tile} {row} {column}");
                    assert!(seen.insert((bank, r, c)), "{tile} {row} {column}");
                }
            }
        }
    }

    #[test]
    fn reading_a_tile_agrees_with_locating_its_bits() {
        // Bits that look random but are the same on every run.
        let mut planes = [0, 1, 2, 3].map(|bank| Plane::new(WIDTH, height(bank)));
        let mut state = 1u32;
        for plane in &mut planes {
            let data: Vec<u8> = (0..WIDTH * plane.height() / 8)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                })
                .collect();
            plane.load(0, plane.height(), &data);
            let first: Vec<bool> = (0..8).map(|c| plane.bit(0, c)).collect();
            assert_eq!(first, (0..8).map(|b| data[0] >> (7 - b) & 1 != 0).collect::<Vec<_>>());
            let (row, column) = (plane.height() - 1, WIDTH - 1);
            assert_eq!(plane.bit(row, column), data[data.len() - 1] & 1 != 0);
        }
        for (x, y) in [(0, 0), (1, 0), (12, 31), (13, 0), (6, 5), (19, 25), (7, 20), (20, 21)] {
            let tile = Tile { x, y };
            let bits = tile_bits(&planes, tile);
            for (row, column) in (0..16).flat_map(|r| (0..64).map(move |c| (r, c))) {
                let expected =
                    locate(tile, row, column).is_some_and(|(b, r, c)| planes[b].bit(r, c));
                assert_eq!(bit(&bits, row, column), expected, "{tile} {row} {column}");
            }
        }
    }
}
