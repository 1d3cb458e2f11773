//! Changing single configuration bits of a bitstream file.

use super::commands::{Block, Commands, Event, Memory};
use super::{Bitstream, Refusal, Tile, cram};

/// A bitstream file whose configuration bits can be changed one by one.
///
/// For mutation studies and tests. The checksum is put right at the end; everything else in the
/// file stays as it is.
///
/// ```no_run
/// use icefarm_sim::fpga::{Editor, Tile};
///
/// let mut editor = Editor::new(std::fs::read("circuit.bin")?)?;
/// editor.flip(Tile { x: 7, y: 28 }, 0, 36); // one bit of a truth table
/// std::fs::write("mutant.bin", editor.finish())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Editor {
    bytes: Vec<u8>,
    blocks: Vec<Block>,
}

impl Editor {
    /// Opens a bitstream that [`Bitstream::parse`] accepts.
    ///
    /// # Errors
    /// What [`Bitstream::parse`] refuses.
    pub fn new(bytes: Vec<u8>) -> Result<Self, Refusal> {
        Bitstream::parse(&bytes)?;
        let mut commands = Commands::new(&bytes)?;
        let mut blocks = Vec::new();
        loop {
            match commands.next_event()? {
                Event::Block(block) => blocks.push(block),
                Event::WakeUp { .. } => break,
                _ => {}
            }
        }
        Ok(Self { bytes, blocks })
    }

    /// Flips bit `column` of row `row` (0 to 15) of a tile, counted as IceStorm's `B<row>[<column>]`
    /// does. Says whether the tile has such a bit.
    pub fn flip(&mut self, tile: Tile, row: u8, column: u8) -> bool {
        let Some((bank, row, column)) = cram::locate(tile, row, column) else { return false };
        self.flip_cram(bank, row, column)
    }

    /// Flips a bit of a CRAM bank by its row and column; for bits that belong to no tile. Says
    /// whether there is such a bit.
    pub fn flip_cram(&mut self, bank: usize, row: usize, column: usize) -> bool {
        self.flip_in(Memory::Cram, bank, row, column)
    }

    /// Flips a bit of a word of the block RAM whose lower tile this is. Says whether the file has
    /// such a bit; icepack can be told to leave the contents of block RAMs out.
    pub fn flip_ram(&mut self, tile: Tile, word: u8, bit: u8) -> bool {
        let is_ram = (tile.x == 6 || tile.x == 19) && tile.y % 2 == 1 && tile.y < cram::ROWS - 1;
        if !is_ram || bit > 15 {
            return false;
        }
        let (bank, column) = cram::ram_place(tile);
        self.flip_in(Memory::Bram, bank, usize::from(word), column + usize::from(15 - bit))
    }

    fn flip_in(&mut self, memory: Memory, bank: usize, row: usize, column: usize) -> bool {
        // The last block that writes the row wins, as on the device.
        let block = self.blocks.iter().rev().find(|block| {
            block.memory == memory
                && block.bank == bank
                && (block.offset..block.offset + block.height).contains(&row)
                && column < block.width
        });
        let Some(block) = block else { return false };
        let position = (row - block.offset) * block.width + column;
        self.bytes[block.at + position / 8] ^= 0x80 >> (position % 8);
        true
    }

    /// The changed file with a right checksum.
    pub fn finish(mut self) -> Vec<u8> {
        let mut checks = Vec::new();
        if let Ok(mut commands) = Commands::new(&self.bytes) {
            // The commands were read before and no command was changed.
            while let Ok(event) = commands.next_event() {
                match event {
                    Event::Check { at, expected, .. } => checks.push((at, expected)),
                    Event::WakeUp { .. } => break,
                    Event::Block(_) => {}
                }
            }
        }
        for (at, crc) in checks {
            self.bytes[at..at + 2].copy_from_slice(&crc.to_be_bytes());
        }
        self.bytes
    }
}
