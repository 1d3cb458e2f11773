//! What a board's firmware and its host say to each other, whatever the firmware measures.
//!
//! The host writes the circuit, exactly [`BITSTREAM_BYTES`] bytes and nothing around them. The
//! firmware writes lines of text, ended by `\r\n`; the figure stands in the last but one, here
//! that of `pulse_count`:
//!
//! ```text
//! USB Connected :)
//! Waiting for bitstream transfer
//! Bitstream transfer started
//! Receiving bitstream
//! Received bitstream in 187344 us :)
//! Flashing FPGA
//! FPGA Flash times (us): init 512, start 2, open 1302, write 22217, close 41
//! , pulses: 2000
//! IDLE
//! ```
//!
//! It gives up on a circuit that is not complete 2 s after its first byte, with
//! `Watchdog timeout, 512 bytes received of 104090`. (iCEFARM, `firmware/*/main.cpp`.)
//!
//! Three lines are written by virtual boards only. `refused: CODE REASON` stands in the place of
//! the figure for a circuit that cannot be simulated: a real board takes any bytes and measures
//! what comes of them. `simulating` tells that the board is alive while a figure takes longer, and
//! `falsified: REASON` that the figure which follows is wrong on purpose.

use crate::{Instrument, Said};
use std::sync::Arc;

/// The length of a circuit: an uncompressed bitstream of an iCE40UP5K as icepack writes it. The
/// firmware waits for exactly so many bytes.
pub const BITSTREAM_BYTES: usize = 104_090;

/// The longest line that is taken for one, in bytes. The firmware's own are below 128; the reason
/// of a refusal has up to 1000 characters.
const MAX_LINE: usize = 4096;

/// A line that the firmware wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line<R> {
    /// The first bytes of a circuit came in.
    Receiving,
    /// The circuit is complete.
    Received,
    /// The circuit was not complete in time.
    Watchdog {
        /// How many bytes the firmware got.
        received: u64,
    },
    /// The FPGA is configured.
    FlashTimes,
    /// The figure.
    Reading(R),
    /// There will be no figure, and why.
    Refused { code: String, reason: String },
    /// A virtual board is still at it.
    Simulating,
    /// The figure of a virtual board is wrong on purpose, and why.
    Falsified(String),
    /// Text that carries no news.
    Chatter,
    /// What no firmware writes; how it begins.
    Noise(String),
}

impl<R> Line<R> {
    /// Reads a line without its end.
    fn read<I: Instrument<Reading = R>>(instrument: &I, line: &[u8]) -> Self {
        let text = match std::str::from_utf8(line) {
            Ok(text) if !text.contains(char::is_control) => text,
            _ => return Self::noise(line),
        };
        match text {
            "Bitstream transfer started" | "Receiving bitstream" => return Self::Receiving,
            "simulating" => return Self::Simulating,
            _ => {}
        }
        let read = received(text)
            .or_else(|| watchdog(text))
            .or_else(|| flash_times(text))
            .or_else(|| refused(text))
            .or_else(|| falsified(text));
        if let Some(line) = read {
            return line;
        }
        match instrument.read(text) {
            Said::Reading(reading) => Self::Reading(reading),
            // What looks like an answer and is none was damaged on the way.
            Said::Damaged => Self::noise(line),
            Said::Nothing if text.contains("Flash times") => Self::noise(line),
            Said::Nothing => Self::Chatter,
        }
    }

    fn noise(line: &[u8]) -> Self {
        let start = &line[..line.len().min(40)];
        Self::Noise(start.escape_ascii().to_string())
    }
}

fn received<R>(text: &str) -> Option<Line<R>> {
    let number = text.strip_prefix("Received bitstream in ")?.strip_suffix(" us :)")?;
    digits(number).map(|_| Line::Received)
}

fn watchdog<R>(text: &str) -> Option<Line<R>> {
    let rest = text.strip_prefix("Watchdog timeout, ")?;
    let (received, wanted) = rest.split_once(" bytes received of ")?;
    digits(wanted)?;
    digits(received).map(|received| Line::Watchdog { received })
}

fn flash_times<R>(text: &str) -> Option<Line<R>> {
    let mut rest = text.strip_prefix("FPGA Flash times (us): ")?;
    for (name, end) in
        [("init ", ", "), ("start ", ", "), ("open ", ", "), ("write ", ", "), ("close ", "")]
    {
        rest = rest.strip_prefix(name)?;
        // A step that failed takes -1.
        rest = rest.strip_prefix('-').unwrap_or(rest);
        let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        digits(&rest[..length])?;
        rest = rest[length..].strip_prefix(end)?;
    }
    rest.is_empty().then_some(Line::FlashTimes)
}

fn refused<R>(text: &str) -> Option<Line<R>> {
    let (code, reason) = text.strip_prefix("refused: ")?.split_once(' ')?;
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if code.is_empty() || !code.chars().all(is_word) {
        return None;
    }
    Some(Line::Refused { code: code.to_owned(), reason: reason.to_owned() })
}

fn falsified<R>(text: &str) -> Option<Line<R>> {
    text.strip_prefix("falsified: ").map(|reason| Line::Falsified(reason.to_owned()))
}

/// A number as `printf` writes it: digits alone.
#[must_use]
pub fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// Cuts the stream of bytes into lines, in whatever pieces it comes.
#[derive(Debug)]
pub(crate) struct Lines<I> {
    instrument: Arc<I>,
    partial: Vec<u8>,
    /// The line under way is too long for one; its rest is dropped.
    overlong: bool,
}

impl<I: Instrument> Lines<I> {
    pub(crate) fn new(instrument: Arc<I>) -> Self {
        Self { instrument, partial: Vec::new(), overlong: false }
    }

    /// The lines that `bytes` complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Line<I::Reading>> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ended) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            let room = MAX_LINE.saturating_sub(self.partial.len());
            self.overlong |= text.len() > room;
            self.partial.extend_from_slice(&text[..text.len().min(room)]);
            if ended {
                lines.push(self.end());
            }
        }
        lines
    }

    fn end(&mut self) -> Line<I::Reading> {
        let line = self.partial.strip_suffix(b"\r").unwrap_or(&self.partial);
        let line =
            if self.overlong { Line::noise(line) } else { Line::read(&*self.instrument, line) };
        self.partial.clear();
        self.overlong = false;
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::Counter;

    type Line = super::Line<u64>;
    use proptest::prelude::*;

    fn lines(bytes: &[u8]) -> Vec<Line> {
        Lines::new(Arc::new(Counter)).push(bytes)
    }

    fn line(text: &str) -> Line {
        lines(format!("{text}\r\n").as_bytes()).remove(0)
    }

    const ROUND: &str = "USB Connected :)\r\nWaiting for bitstream transfer\r\n\
        Bitstream transfer started\r\nReceiving bitstream\r\nReceived bitstream in 187344 us :)\r\n\
        Flashing FPGA\r\n\
        FPGA Flash times (us): init 512, start 2, open 1302, write 22217, close 41\r\n\
        , pulses: 2000\r\nIDLE\r\n";

    #[test]
    fn a_whole_round_is_read() {
        use super::Line::{Chatter, FlashTimes, Reading, Received, Receiving};
        assert_eq!(
            lines(ROUND.as_bytes()),
            [
                Chatter,
                Chatter,
                Receiving,
                Receiving,
                Received,
                Chatter,
                FlashTimes,
                Reading(2000),
                Chatter
            ]
        );
    }

    #[test]
    fn a_step_that_failed_is_part_of_an_answer() {
        let text = "FPGA Flash times (us): init -1, start 0, open -1, write 0, close -1";
        assert_eq!(line(text), Line::FlashTimes);
    }

    #[test]
    fn the_watchdog_is_heard() {
        assert_eq!(
            line("Watchdog timeout, 512 bytes received of 104090"),
            Line::Watchdog { received: 512 }
        );
    }

    #[test]
    fn a_refusal_has_a_code_and_a_reason() {
        assert_eq!(
            line("refused: bad_crc byte 7: the CRC is 1"),
            Line::Refused { code: "bad_crc".into(), reason: "byte 7: the CRC is 1".into() }
        );
        assert_eq!(line("refused: Bad reason"), Line::Chatter);
        assert_eq!(line("falsified: by x"), Line::Falsified("by x".into()));
    }

    #[test]
    fn damaged_answers_are_no_answers() {
        for text in [
            ", pulses: ",
            ", pulses: 20x0",
            ", pulses: -1",
            ", pulses: +1",
            ", pulses: 2000IDLE",
            "pulses: 2000",
            ", pulses: 99999999999999999999999",
            "FPGA Flash times (us): init 1, start 2, open 3, write 4, close 5, pulses: 3",
            "FPGA Flash times (us): init 1, start 2, open 3",
            ", pulses: 20\u{7}00",
            "\u{80}",
        ] {
            assert!(matches!(line(text), Line::Noise(_)), "{text:?}");
        }
    }

    #[test]
    fn an_endless_line_takes_no_memory_and_is_noise() {
        let mut lines = Lines::new(Arc::new(Counter));
        for _ in 0..1000 {
            assert_eq!(lines.push(&[b'x'; 100]), []);
            assert!(lines.partial.len() <= MAX_LINE);
        }
        assert!(matches!(lines.push(b"\r\n")[..], [Line::Noise(_)]));
        assert_eq!(lines.push(b", pulses: 7\n"), [Line::Reading(7)]);
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_the_pieces(
            bytes in proptest::collection::vec(
                prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..400),
            rounds in 0..3usize,
            cuts in proptest::collection::vec(0..600usize, 0..20),
        ) {
            let mut stream = bytes.clone();
            stream.push(b'\n');
            stream.extend(ROUND.repeat(rounds).bytes());
            let whole = lines(&stream);
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut % (stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let mut reader = Lines::new(Arc::new(Counter));
            let pieces: Vec<_> =
                cuts.windows(2).flat_map(|cut| reader.push(&stream[cut[0]..cut[1]])).collect();
            prop_assert_eq!(&pieces, &whole);
            let answers = whole.iter().filter(|line| **line == Line::Reading(2000)).count();
            prop_assert!(answers >= rounds);
        }

        #[test]
        fn a_figure_is_read_only_from_its_own_line(text in "[ -~]{0,40}", figure: u64) {
            prop_assume!(text != format!(", pulses: {figure}"));
            prop_assert_ne!(line(&text), Line::Reading(figure));
            prop_assert_eq!(line(&format!(", pulses: {figure}")), Line::Reading(figure));
        }
    }
}
