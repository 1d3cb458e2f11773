//! From the tables of a file to faults, key by key, so that each message can name its key and line.

use super::FaultFileError;
use icefarm_core::{ImageName, Serial};
use icefarm_sim::{BoardChoice, Effect, Fault, FaultError, Trigger};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const WHAT: [&str; 8] = [
    "unplug",
    "hang",
    "stall",
    "garbage",
    "slow-link",
    "refuse-image",
    "corrupt-image",
    "wrong-answer",
];
const WHEN: [&str; 8] =
    ["power", "bootloader", "flash", "start", "transfer", "circuit", "answer", "time"];

/// Noise longer than any line of the farm's firmware.
const GARBAGE: u64 = 96;

/// What is wrong in a text.
#[derive(Debug)]
pub(super) struct Problem {
    line: usize,
    /// `None` if the text is not TOML.
    key: Option<String>,
    text: String,
}

impl Problem {
    fn of(line: usize, key: &str, text: impl Into<String>) -> Self {
        Self { line, key: Some(key.to_owned()), text: text.into() }
    }

    pub(super) fn into_error(self, path: &Path) -> FaultFileError {
        let Self { line, key, text } = self;
        let path = path.to_owned();
        match key {
            Some(key) => FaultFileError::Key { path, line, key, problem: text },
            None => FaultFileError::Syntax { path, line, message: text },
        }
    }
}

/// Where the parts of a fault stand.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    line: usize,
    keys: BTreeMap<String, usize>,
}

impl Entry {
    /// What is wrong with the fault, at its key.
    pub(super) fn problem(&self, error: &FaultError) -> Problem {
        let line = self.keys.get(error.key()).unwrap_or(&self.line);
        Problem::of(*line, error.key(), error.to_string())
    }
}

/// The seed and the faults of a text.
pub(super) fn read(text: &str) -> Result<(u64, Vec<(Fault, Entry)>), Problem> {
    let root = DeTable::parse(text).map_err(|error| Problem {
        line: error.span().map_or(1, |span| line(text, span.start)),
        key: None,
        text: error.message().to_owned(),
    })?;
    let root = Table::new(text, 1, root.get_ref());
    let seed = root.whole("seed")?.unwrap_or(0);
    let list = root.list("fault", "a list of tables, each begun by [[fault]]")?;
    root.finish("")?;
    let faults = list.unwrap_or_default().into_iter().map(|(at, value)| {
        let Some(table) = value.as_table() else {
            return Err(Problem::of(at, "fault", "a table begun by [[fault]]"));
        };
        let table = Table::new(text, at, table);
        Ok((fault(&table)?, table.entry()))
    });
    Ok((seed, faults.collect::<Result<_, _>>()?))
}

fn fault(table: &Table<'_>) -> Result<Fault, Problem> {
    let what = table.word("what", &WHAT)?;
    let what = what.ok_or_else(|| table.missing("what", &one_of(&WHAT)))?;
    let when = match (table.word("when", &WHEN)?, what) {
        (Some(when), _) => when,
        (None, "refuse-image" | "corrupt-image") => "flash",
        (None, "wrong-answer") => "answer",
        (None, _) => return Err(table.missing("when", &one_of(&WHEN))),
    };
    let mut fault = Fault::new(effect(table, what)?, trigger(table, when)?);
    if let Some(boards) = boards(table)? {
        fault = fault.on(boards);
    }
    if let Some((line, name)) = table.text("firmware")? {
        let image = ImageName::new(name);
        fault = fault
            .firmware(image.map_err(|error| Problem::of(line, "firmware", error.to_string()))?);
    }
    let nth = table.whole("nth")?;
    for (key, value) in [("after", table.whole("after")?), ("times", table.whole("times")?)] {
        let Some(value) = value else { continue };
        if nth.is_some() {
            return Err(Problem::of(table.line_of(key), key, "either this or `nth`, not both"));
        }
        fault = if key == "after" { fault.after(value) } else { fault.times(value) };
    }
    if let Some(nth) = nth {
        let before = nth.checked_sub(1);
        let wrong = || Problem::of(table.line_of("nth"), "nth", "it is counted from 1");
        fault = fault.after(before.ok_or_else(wrong)?).times(1);
    }
    if let Some(chance) = table.number("chance")? {
        fault = fault.chance(chance);
    }
    if let Some(delay) = table.seconds("delay_seconds")? {
        fault = fault.delay(delay);
    }
    table.finish(&format!(" for `{what}` at `{when}`"))?;
    Ok(fault)
}

fn effect(table: &Table<'_>, what: &str) -> Result<Effect, Problem> {
    Ok(match what {
        "unplug" => Effect::Unplug { lasts: table.seconds("lasts_seconds")? },
        "hang" => Effect::Hang,
        "stall" => Effect::Stall,
        "garbage" => {
            let bytes = table.whole("bytes")?.unwrap_or(GARBAGE);
            // More than memory can address goes on for ever in any case.
            Effect::Garbage { bytes: usize::try_from(bytes).unwrap_or(usize::MAX) }
        }
        "slow-link" => {
            let key = "bytes_per_second";
            let bytes = table.whole(key)?.ok_or_else(|| table.missing(key, ""))?;
            let bytes_per_second = u32::try_from(bytes).unwrap_or(u32::MAX);
            Effect::SlowLink { bytes_per_second, lasts: table.seconds("lasts_seconds")? }
        }
        "refuse-image" => Effect::RefuseImage,
        "corrupt-image" => Effect::CorruptImage,
        _ => {
            let off_by = table.integer("off_by")?.ok_or_else(|| table.missing("off_by", ""))?;
            Effect::WrongAnswer { off_by }
        }
    })
}

fn trigger(table: &Table<'_>, when: &str) -> Result<Trigger, Problem> {
    Ok(match when {
        "power" => Trigger::Power,
        "bootloader" => Trigger::Bootloader,
        "flash" => {
            let percent = table.whole("at_percent")?.unwrap_or(0);
            // What does not fit is too much in any case, and told so.
            Trigger::Flash { percent: u8::try_from(percent).unwrap_or(u8::MAX) }
        }
        "start" => Trigger::Start,
        "transfer" => Trigger::Transfer { bytes: table.whole("at_bytes")?.unwrap_or(1) },
        "circuit" => Trigger::Circuit,
        "answer" => Trigger::Answer,
        _ => {
            let every = table.seconds("every_seconds")?;
            let first = table.seconds("at_seconds")?.or(every);
            let missing = || table.missing("at_seconds", "or say `every_seconds`");
            Trigger::Time { first: first.ok_or_else(missing)?, every }
        }
    })
}

fn boards(table: &Table<'_>) -> Result<Option<Vec<BoardChoice>>, Problem> {
    let Some(list) = table.list("boards", "a list of places and serials")? else {
        return Ok(None);
    };
    if list.is_empty() {
        let text = "an empty list would be no fault";
        return Err(Problem::of(table.line_of("boards"), "boards", text));
    }
    let choice = |(line, value): (usize, &DeValue<'_>)| {
        let wrong = |text: String| Problem::of(line, "boards", text);
        match value {
            DeValue::String(serial) => {
                let serial = Serial::new(serial.as_ref()).map_err(|e| wrong(e.to_string()))?;
                Ok(BoardChoice::Serial(serial))
            }
            other => {
                let index = integer(other).and_then(|index| usize::try_from(index).ok());
                let text = format!("a place from 0 on or a serial, not {}", kind(other));
                Ok(BoardChoice::Index(index.ok_or_else(|| wrong(text))?))
            }
        }
    };
    list.into_iter().map(choice).collect::<Result<_, _>>().map(Some)
}

/// A table that knows which keys it was asked for.
struct Table<'a> {
    text: &'a str,
    line: usize,
    table: &'a DeTable<'a>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    fn new(text: &'a str, line: usize, table: &'a DeTable<'a>) -> Self {
        Self { text, line, table, asked: RefCell::default() }
    }

    fn get(&self, key: &'static str) -> Option<(usize, &'a DeValue<'a>)> {
        self.asked.borrow_mut().push(key);
        let (at, value) = self.table.get_key_value(key)?;
        Some((line(self.text, at.span().start), value.get_ref()))
    }

    fn line_of(&self, key: &str) -> usize {
        let key = self.table.get_key_value(key).map(|(key, _)| key.span().start);
        key.map_or(self.line, |start| line(self.text, start))
    }

    fn missing(&self, key: &str, rest: &str) -> Problem {
        let text = if rest.is_empty() { "missing".to_owned() } else { format!("missing; {rest}") };
        Problem::of(self.line, key, text)
    }

    fn integer(&self, key: &'static str) -> Result<Option<i64>, Problem> {
        let Some((line, value)) = self.get(key) else { return Ok(None) };
        let wrong = || Problem::of(line, key, format!("a whole number, not {}", kind(value)));
        integer(value).ok_or_else(wrong).map(Some)
    }

    fn whole(&self, key: &'static str) -> Result<Option<u64>, Problem> {
        let Some(number) = self.integer(key)? else { return Ok(None) };
        let text = format!("a whole number from 0 on, not `{number}`");
        let wrong = |_| Problem::of(self.line_of(key), key, text);
        u64::try_from(number).map_err(wrong).map(Some)
    }

    fn number(&self, key: &'static str) -> Result<Option<f64>, Problem> {
        let Some((line, value)) = self.get(key) else { return Ok(None) };
        let number = match value {
            DeValue::Float(float) => float.as_str().parse().ok(),
            other => integer(other).map(|number| number as f64),
        };
        let wrong = || Problem::of(line, key, format!("a number, not {}", kind(value)));
        number.ok_or_else(wrong).map(Some)
    }

    fn seconds(&self, key: &'static str) -> Result<Option<Duration>, Problem> {
        let Some(number) = self.number(key)? else { return Ok(None) };
        // Ten years are for ever, and no clock overflows.
        let duration = Duration::try_from_secs_f64(number).ok();
        let duration = duration.filter(|duration| duration.as_secs() < 10 * 366 * 86_400);
        let wrong =
            || Problem::of(self.line_of(key), key, format!("seconds from 0 on, not `{number}`"));
        duration.ok_or_else(wrong).map(Some)
    }

    fn text(&self, key: &'static str) -> Result<Option<(usize, &'a str)>, Problem> {
        let Some((line, value)) = self.get(key) else { return Ok(None) };
        let wrong = || Problem::of(line, key, format!("a text in quotes, not {}", kind(value)));
        value.as_str().ok_or_else(wrong).map(|text| Some((line, text)))
    }

    fn word<const N: usize>(
        &self,
        key: &'static str,
        words: &[&'static str; N],
    ) -> Result<Option<&'static str>, Problem> {
        let Some((line, text)) = self.text(key)? else { return Ok(None) };
        let unknown = || Problem::of(line, key, format!("unknown `{text}`; {}", one_of(words)));
        words.iter().find(|word| **word == text).copied().ok_or_else(unknown).map(Some)
    }

    fn list(
        &self,
        key: &'static str,
        what: &str,
    ) -> Result<Option<Vec<(usize, &'a DeValue<'a>)>>, Problem> {
        let Some((at, value)) = self.get(key) else { return Ok(None) };
        let list = value.as_array().ok_or_else(|| Problem::of(at, key, what))?;
        let place =
            |item: &'a Spanned<DeValue<'a>>| (line(self.text, item.span().start), item.get_ref());
        Ok(Some(list.iter().map(place).collect()))
    }

    /// No key is there that nobody has asked for.
    fn finish(&self, context: &str) -> Result<(), Problem> {
        let asked = self.asked.borrow();
        let unknown = self.table.keys().filter(|key| !asked.contains(&key.get_ref().as_ref()));
        // The first one in the file, whatever order the table has.
        let Some(key) = unknown.min_by_key(|key| key.span().start) else { return Ok(()) };
        let text = format!("not known{context}; known keys: {}", asked.join(", "));
        Err(Problem::of(line(self.text, key.span().start), key.get_ref(), text))
    }

    fn entry(&self) -> Entry {
        let place = |key: &Spanned<_>| line(self.text, key.span().start);
        let keys = self.table.keys().map(|key| (key.get_ref().to_string(), place(key)));
        Entry { line: self.line, keys: keys.collect() }
    }
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn kind(value: &DeValue<'_>) -> String {
    let kind = value.type_str();
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {kind}")
}

fn one_of(words: &[&str]) -> String {
    format!("one of: {}", words.join(", "))
}

fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
