//! A bitstream taken apart into the memories that it configures.

use super::commands::{Block, Commands, Event, Memory};
use super::cram::{self, Plane, TileBits};
use super::{Refusal, Tile};

/// The configuration that a bitstream would give an iCE40UP5K.
///
/// ```
/// use icefarm_sim::fpga::{Bitstream, Refusal};
///
/// // The file ends where its first command should be.
/// let refusal = Bitstream::parse(&[0x7E, 0xAA, 0x99, 0x7E]).unwrap_err();
/// assert_eq!(refusal, Refusal::Truncated { at: 4 });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitstream {
    cram: [Plane; 4],
    bram: [Plane; 4],
    /// How many rows of each bank of block RAM the file fills, from the first one on.
    bram_rows: [usize; 4],
}

impl Bitstream {
    /// Reads a `.bin` file as icepack writes it, and checks that it is whole, undamaged and for
    /// the iCE40UP5K.
    ///
    /// Bytes before the synchronisation word and after the wake-up command do not matter, as on
    /// the device. Memory is bounded (about 150 KB) whatever the input says.
    ///
    /// # Errors
    /// A [`Refusal`] that names the place in the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut cram = [0, 1, 2, 3].map(|bank| Plane::new(cram::WIDTH, cram::height(bank)));
        let mut bram = [0, 1, 2, 3].map(|bank| Plane::new(cram::bram_width(bank), 256));
        // The number of rows that were configured, to tell the device from smaller ones.
        let mut rows = [0; 4];
        let mut bram_rows = [0; 4];
        let mut checked = false;
        let mut commands = Commands::new(bytes)?;
        loop {
            match commands.next_event()? {
                Event::Block(block) => {
                    let plane = match block.memory {
                        Memory::Cram => &mut cram[block.bank],
                        Memory::Bram => &mut bram[block.bank],
                    };
                    check_fit(&block, plane)?;
                    if block.memory == Memory::Cram {
                        rows[block.bank] = rows[block.bank].max(block.offset + block.height);
                    }
                    if block.memory == Memory::Bram && block.offset <= bram_rows[block.bank] {
                        let end = block.offset + block.height;
                        bram_rows[block.bank] = bram_rows[block.bank].max(end);
                    }
                    plane.load(block.offset, block.height, &bytes[block.at..]);
                }
                Event::Check { at, expected, found } => {
                    if expected != found {
                        return Err(Refusal::BadCrc { at, expected, found });
                    }
                    checked = true;
                }
                Event::WakeUp { at } if !checked => return Err(Refusal::NoCrc { at }),
                Event::WakeUp { .. } => break,
            }
        }
        for (bank, &rows) in rows.iter().enumerate() {
            let height = cram::height(bank);
            if rows != height {
                let found = format!(
                    "it configures {rows} rows of CRAM bank {bank}, the device has {height}"
                );
                return Err(Refusal::WrongDevice { found });
            }
        }
        Ok(Self { cram, bram, bram_rows })
    }

    /// The configuration bits of a tile.
    pub(super) fn tile(&self, tile: Tile) -> TileBits {
        cram::tile_bits(&self.cram, tile)
    }

    /// What is in the block RAM whose lower tile this is, if the file fills all of it.
    pub(super) fn ram_contents(&self, tile: Tile) -> Option<Box<[u16; 256]>> {
        let (bank, column) = cram::ram_place(tile);
        let words = (0..256).map(|row| self.bram[bank].word(row, column));
        let full = self.bram_rows[bank] == 256;
        full.then(|| words.collect::<Vec<u16>>().into_boxed_slice().try_into().ok()).flatten()
    }

    /// A single bit of CRAM that belongs to no tile.
    pub(super) fn cram_bit(&self, bank: usize, row: usize, column: usize) -> bool {
        self.cram[bank].bit(row, column)
    }
}

/// A block must fit the memory that it is for; its width betrays other devices.
fn check_fit(block: &Block, plane: &Plane) -> Result<(), Refusal> {
    if block.width != plane.width() {
        let device = match block.width {
            182 => " (the width of the iCE40LP384)",
            332 => " (the width of the iCE40LP/HX1K)",
            656 => " (the width of the iCE5LP4K)",
            872 => " (the width of the iCE40LP/HX8K)",
            _ => "",
        };
        let found = format!(
            "byte {}: {:?} bank {} is written {} bits wide{device}, the device has {}",
            block.at,
            block.memory,
            block.bank,
            block.width,
            plane.width()
        );
        return Err(Refusal::WrongDevice { found });
    }
    if block.offset + block.height > plane.height() {
        let found = format!(
            "byte {}: {:?} bank {} is written up to row {}, the device has {}",
            block.at,
            block.memory,
            block.bank,
            block.offset + block.height,
            plane.height()
        );
        return Err(Refusal::WrongDevice { found });
    }
    Ok(())
}
