//! The command stream of an iCE40 bitstream.
//!
//! Format (Project IceStorm, <https://clifford.at/icestorm/format.html>): after the word
//! `7EAA997E` come commands of one byte whose low four bits give the number of payload bytes,
//! big-endian. Blocks of configuration data follow their command and end with two zero bytes. The
//! checksum is CRC-16-CCITT (polynomial 1021, start FFFF, most significant bit first) over every
//! byte since its reset.

use super::Refusal;

/// The word that starts the command stream.
const SYNC: [u8; 4] = [0x7E, 0xAA, 0x99, 0x7E];

/// Which of the two memories a block of data is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// Configuration of logic and routing.
    Cram,
    /// Contents of the block RAMs.
    Bram,
}

/// A block of configuration data: `height` rows of `width` bits for one bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    /// Where the data begin in the file.
    pub(super) at: usize,
    pub(super) memory: Memory,
    /// 0 to 3.
    pub(super) bank: usize,
    /// The first row in the bank.
    pub(super) offset: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// What happens in the stream, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Block(Block),
    /// The two bytes at `at` should be `expected`.
    Check {
        at: usize,
        expected: u16,
        found: u16,
    },
    /// The last command; `at` is its place.
    WakeUp {
        at: usize,
    },
}

/// Reads a bitstream from its synchronisation word to its wake-up.
pub(super) struct Commands<'a> {
    bytes: &'a [u8],
    at: usize,
    crc: u16,
    bank: usize,
    width: usize,
    height: usize,
    offset: usize,
}

impl<'a> Commands<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let start = bytes.windows(SYNC.len()).position(|w| w == SYNC).ok_or(Refusal::NoPreamble)?;
        Ok(Self {
            bytes,
            at: start + SYNC.len(),
            crc: 0xFFFF,
            bank: 0,
            width: 0,
            height: 0,
            offset: 0,
        })
    }

    /// The next event. After [`Event::WakeUp`] there is nothing more to read.
    pub(super) fn next_event(&mut self) -> Result<Event, Refusal> {
        loop {
            let start = self.at;
            let command = self.take(1)?[0];
            let before_payload = self.crc;
            let length = usize::from(command & 15);
            if length > 4 {
                return Err(Refusal::UnknownCommand { at: start, command, payload: 0 });
            }
            let payload =
                self.take(length)?.iter().fold(0u32, |value, &b| value << 8 | u32::from(b));
            match (command >> 4, payload) {
                (0, 1) => return self.block(Memory::Cram).map(Event::Block),
                (0, 3) => return self.block(Memory::Bram).map(Event::Block),
                (0, 5) => self.crc = 0xFFFF,
                (0, 6) => return Ok(Event::WakeUp { at: start }),
                (1, 0..=3) => self.bank = payload as usize,
                (2, 0..=0xFFFF) if length == 2 => {
                    // A correct checksum leaves zero behind; a wrong one is the caller's business.
                    self.crc = 0;
                    let found = payload as u16;
                    return Ok(Event::Check { at: start + 1, expected: before_payload, found });
                }
                (6, 0..=0xFFFF) => self.width = payload as usize + 1,
                (7, 0..=0xFFFF) => self.height = payload as usize,
                (8, 0..=0xFFFF) => self.offset = payload as usize,
                // Frequency of the configuration clock; warm boot and sleep: no matter here.
                (5 | 9, _) => {}
                _ => return Err(Refusal::UnknownCommand { at: start, command, payload }),
            }
        }
    }

    fn block(&mut self, memory: Memory) -> Result<Block, Refusal> {
        let at = self.at;
        let bits = self.width * self.height;
        if !bits.is_multiple_of(8) {
            let reason = format!("{} rows of {} bits are not whole bytes", self.height, self.width);
            return Err(Refusal::BadBlock { at, reason });
        }
        self.take(bits / 8)?;
        if self.take(2)? != [0, 0] {
            let reason = "two zero bytes must follow a block of data".to_owned();
            return Err(Refusal::BadBlock { at: at + bits / 8, reason });
        }
        Ok(Block {
            at,
            memory,
            bank: self.bank,
            offset: self.offset,
            width: self.width,
            height: self.height,
        })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Refusal> {
        let rest = &self.bytes[self.at..];
        if count > rest.len() {
            return Err(Refusal::Truncated { at: self.bytes.len() });
        }
        self.at += count;
        self.crc = rest[..count].iter().fold(self.crc, |crc, &byte| crc_step(crc, byte));
        Ok(&rest[..count])
    }
}

fn crc_step(crc: u16, byte: u8) -> u16 {
    crc << 8 ^ CRC_TABLE[usize::from((crc >> 8) as u8 ^ byte)]
}

static CRC_TABLE: [u16; 256] = {
    let mut table = [0u16; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 { crc << 1 ^ 0x1021 } else { crc << 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_is_ccitt() {
        let crc = b"123456789".iter().fold(0xFFFF, |crc, &byte| crc_step(crc, byte));
        assert_eq!(crc, 0x29B1);
    }
}
