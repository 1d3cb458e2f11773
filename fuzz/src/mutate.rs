//! Damage, of which some knows what text and numbers look like.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Numbers at the edges of types.
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "-1",
    "1",
    "127",
    "255",
    "256",
    "65536",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999999999",
    "1e400",
    "-1e400",
    "1e-400",
    "0.1",
    "1.7976931348623157e308",
    "00",
    "0x10",
    "nan",
    "inf",
];

/// Texts that names and paths stumble over.
const TEXTS: &[&str] = &[
    "",
    " ",
    "\\u0000",
    "\\ud800",
    "\\n",
    "..",
    "../../etc/passwd",
    "%00",
    "%",
    "%ff",
    "*",
    "meta",
    "ack",
    "hello",
    "é",
    "\u{202e}",
    "𝕊",
    "null",
    "true",
    "[]",
    "{}",
    "a&b=c",
    "http://[::1]:1",
    "http://",
    "localhost:99999",
    "2026-02-30T25:61:61.999Z",
    "9999-12-31T23:59:59.999999Z",
];

/// Heads of lists, maps, texts and bytes that say they are long (MessagePack), and ends of frames
/// and blocks of other formats.
const HEADS: &[&[u8]] = &[
    &[0xdd, 0xff, 0xff, 0xff, 0xff],
    &[0xdf, 0xff, 0xff, 0xff, 0xff],
    &[0xdb, 0xff, 0xff, 0xff, 0xff],
    &[0xc6, 0xff, 0xff, 0xff, 0xff],
    &[0xc9, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0],
    &[0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 1],
    &[0xc1],
    &[0x28, 0xb5, 0x2f, 0xfd],
    &[0xff; 8],
    &[0; 8],
    &[0x7e, 0xaa, 0x99, 0x7e],
    b"\r\n\r\n",
    b"\0",
];

/// One damage.
#[derive(Debug, Clone)]
pub enum Mutation {
    /// A bit is the other way round.
    Flip(Index, u8),
    /// A part is missing.
    Cut(Index, Index),
    /// A part of another sample takes the place of a part.
    Splice(Index, usize, Index, Index),
    /// A part comes several times.
    Repeat(Index, u8, u16),
    /// Bytes that mean something are put somewhere.
    Insert(Index, &'static [u8]),
    /// A number is another one.
    Number(Index, &'static str),
    /// A text between quotes is another one.
    Text(Index, &'static str),
    /// A text between quotes is long.
    Long(Index, u16),
    /// The whole is nested so deep, in lists or in objects.
    Nest(u16, bool),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    prop_oneof![
        4 => (index(), 0..8u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        2 => (index(), index()).prop_map(|(at, to)| Mutation::Cut(at, to)),
        2 => (index(), any::<usize>(), index(), index())
            .prop_map(|(at, other, from, to)| Mutation::Splice(at, other, from, to)),
        2 => (index(), 1..64u8, 1..300u16)
            .prop_map(|(at, length, times)| Mutation::Repeat(at, length, times)),
        2 => (index(), select(HEADS)).prop_map(|(at, head)| Mutation::Insert(at, head)),
        4 => (index(), select(NUMBERS)).prop_map(|(at, text)| Mutation::Number(at, text)),
        4 => (index(), select(TEXTS)).prop_map(|(at, text)| Mutation::Text(at, text)),
        1 => (index(), 100..3000u16).prop_map(|(at, length)| Mutation::Long(at, length)),
        1 => (1..2000u16, any::<bool>()).prop_map(|(depth, list)| Mutation::Nest(depth, list)),
    ]
}

/// Bytes that are made up, and samples with some damage.
pub fn damaged(samples: &'static [Vec<u8>]) -> BoxedStrategy<Vec<u8>> {
    let raw = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..600),
        prop::collection::vec(0x20..0x7fu8, 0..200),
    ];
    if samples.is_empty() {
        return raw.boxed();
    }
    let damaged = (0..samples.len(), prop::collection::vec(mutation(), 0..6)).prop_map(
        move |(sample, mutations)| {
            let mut bytes = samples[sample].clone();
            for mutation in mutations {
                apply(&mut bytes, &mutation, samples);
            }
            bytes
        },
    );
    prop_oneof![1 => raw, 7 => damaged].boxed()
}

/// No input grows beyond this by repetition.
const MOST: usize = 1 << 20;

fn apply(bytes: &mut Vec<u8>, mutation: &Mutation, samples: &[Vec<u8>]) {
    let length = bytes.len();
    let at = |index: &Index| index.index(length + 1);
    match mutation {
        Mutation::Flip(index, bit) if length > 0 => bytes[index.index(length)] ^= 1 << bit,
        Mutation::Flip(..) => {}
        Mutation::Cut(from, to) => {
            let (a, b) = (at(from), at(to));
            bytes.drain(a.min(b)..a.max(b));
        }
        Mutation::Splice(index, other, from, to) => {
            let other = &samples[other % samples.len()];
            let (a, b) = (from.index(other.len() + 1), to.index(other.len() + 1));
            let (start, part) = (at(index), &other[a.min(b)..a.max(b)]);
            let end = (start + part.len()).min(length);
            bytes.splice(start..end, part.iter().copied());
        }
        Mutation::Repeat(index, part, times) => {
            let start = at(index);
            let part = bytes[start..(start + usize::from(*part)).min(length)].to_vec();
            let times = usize::from(*times).min((MOST - MOST.min(length)) / part.len().max(1));
            bytes.splice(start..start, part.repeat(times));
        }
        Mutation::Insert(index, head) => {
            let start = at(index);
            bytes.splice(start..start, head.iter().copied());
        }
        Mutation::Number(index, text) => {
            let digit = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
            replace(bytes, index, &runs(bytes, digit), text.as_bytes());
        }
        Mutation::Text(index, text) => replace(bytes, index, &quoted(bytes), text.as_bytes()),
        Mutation::Long(index, length) => {
            replace(bytes, index, &quoted(bytes), &vec![b'x'; usize::from(*length)]);
        }
        Mutation::Nest(depth, list) => {
            let (open, close) = if *list { ("[", "]") } else { ("{\"a\":", "}") };
            let depth = usize::from(*depth);
            bytes.splice(0..0, open.repeat(depth).into_bytes());
            bytes.extend(close.repeat(depth).into_bytes());
        }
    }
}

type Span = std::ops::Range<usize>;

fn replace(bytes: &mut Vec<u8>, index: &Index, spans: &[Span], with: &[u8]) {
    if !spans.is_empty() {
        let span = spans[index.index(spans.len())].clone();
        bytes.splice(span, with.iter().copied());
    }
}

fn runs(bytes: &[u8], is_in: impl Fn(&u8) -> bool) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| is_in(byte)) {
        match spans.last_mut() {
            Some(last) if last.end == at => last.end = at + 1,
            _ => spans.push(at..at + 1),
        }
    }
    spans
}

/// What stands between quotes.
fn quoted(bytes: &[u8]) -> Vec<Span> {
    let quotes: Vec<usize> =
        bytes.iter().enumerate().filter(|(_, byte)| **byte == b'"').map(|(at, _)| at).collect();
    quotes.chunks_exact(2).map(|pair| pair[0] + 1..pair[1]).collect()
}
