//! What goes wrong with the virtual boards of `icefarm worker --sim-faults FILE`.
//!
//! The file is TOML. It has a list of faults, each with what happens and when:
//!
//! ```toml
//! seed = 7                      # what chance is made of; 0 if absent
//!
//! [[fault]]                     # one measurement in ten ends with the plug pulled for 3 s
//! what = "unplug"
//! when = "circuit"
//! delay_seconds = 0.5
//! chance = 0.1
//! lasts_seconds = 3
//!
//! [[fault]]                     # the first board hangs at its 20th circuit
//! what = "hang"
//! when = "circuit"
//! nth = 20
//! boards = [0]
//! ```
//!
//! | `what` | what happens | further keys |
//! |---|---|---|
//! | `unplug` | the board leaves the bus | `lasts_seconds`: for so long; for good if absent |
//! | `hang` | it answers nothing until it loses power | |
//! | `stall` | its firmware stands still until it restarts | |
//! | `garbage` | what the firmware writes becomes noise | `bytes`: so much of it; 96 if absent |
//! | `slow-link` | the serial line carries little | `bytes_per_second`; `lasts_seconds`: for ever if absent |
//! | `refuse-image` | its flash takes no image and keeps what it holds | |
//! | `corrupt-image` | its flash takes an image and loses it | |
//! | `wrong-answer` | it measures right and tells a wrong figure | `off_by`: by so much, more or less |
//!
//! | `when` | at which step | further keys |
//! |---|---|---|
//! | `power` | it has power, and the bus does not see it yet | |
//! | `bootloader` | it shows its bootloader | |
//! | `flash` | an image is being written | `at_percent`: so much of it; 0 if absent |
//! | `start` | a firmware starts | |
//! | `transfer` | a circuit is on its way to it | `at_bytes`: so much of it is there; 1 if absent |
//! | `circuit` | a circuit is on the FPGA, measuring begins | |
//! | `answer` | measuring is over, the firmware is about to answer | |
//! | `time` | a time after it was first plugged in | `at_seconds`; `every_seconds`: and again each time so much has passed |
//!
//! `refuse-image` and `corrupt-image` happen at `flash`, `wrong-answer` happens at `answer`, and
//! their `when` may be left out. `stall` and `garbage` need a firmware that runs.
//!
//! | key | what it says | if absent |
//! |---|---|---|
//! | `boards` | which: places from 0 and serials, in a list | all of them |
//! | `firmware` | only while this image runs, or is written | any |
//! | `after` | not the first so many times | 0 |
//! | `nth` | only this time, counted from 1; instead of `after` and `times` | each time |
//! | `times` | at most so often | without end |
//! | `chance` | the probability of each time, from 0 to 1 | 1 |
//! | `delay_seconds` | so much later | at once |
//!
//! Each board counts for itself, and the same file does the same to the same boards. Seconds are
//! the boards' own: `--sim-speed 10` makes them ten times shorter, but not the deadlines of the
//! worker. What happens is logged as a warning.
//!
//! A reading that is wrong on purpose is marked: `falsified` says by which fault, also in
//! `icefarm evaluate --json`. Clients that know nothing of the mark, as those in Python, see the
//! wrong figure alone. The worker warns of it when it starts.
//!
//! Two examples are in the repository, in `examples/faults`.

mod table;

use icefarm_sim::{FaultError, FaultPlan, SimError};
use std::path::{Path, PathBuf};
use table::{Entry, Problem};

/// Why a file of faults was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaultFileError {
    /// The file cannot be read.
    #[error("the faults {} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A key is wrong, missing or not known.
    #[error("{}:{line}: `{key}`: {problem}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The line, from 1: that of the key, or of the fault that lacks it.
        line: usize,
        /// The key.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// A plan, and where in its file each fault stands.
#[derive(Debug, Clone)]
pub struct FaultFile {
    path: PathBuf,
    plan: FaultPlan,
    entries: Vec<Entry>,
}

impl FaultFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`FaultFileError`] names the file, the line and the key.
    pub fn read(path: &Path) -> Result<Self, FaultFileError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| FaultFileError::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// Takes in the text of the file `path`, which is only named in messages.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, FaultFileError> {
        let wrong = |problem: Problem| problem.into_error(path);
        let (seed, list) = table::read(text).map_err(wrong)?;
        let (mut plan, mut entries) = (FaultPlan::new(seed), Vec::new());
        for (fault, entry) in list {
            plan = plan.with(fault).map_err(|error| wrong(entry.problem(&error)))?;
            entries.push(entry);
        }
        Ok(Self { path: path.to_owned(), plan, entries })
    }

    /// What is to go wrong.
    #[must_use]
    pub fn plan(&self) -> &FaultPlan {
        &self.plan
    }

    /// Where in the file it stands that fault `number`, from 1, does not fit the boards.
    fn misfit(&self, number: usize, error: &FaultError) -> Option<FaultFileError> {
        let entry = self.entries.get(number.checked_sub(1)?)?;
        Some(entry.problem(error).into_error(&self.path))
    }

    /// The error with its place in the file if the bus has refused a fault of it.
    ///
    /// # Errors
    /// The error itself if it has nothing to do with the file.
    pub fn explain(&self, error: SimError) -> Result<FaultFileError, SimError> {
        match &error {
            SimError::Fault { number, source } => self.misfit(*number, source).ok_or(error),
            _ => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use icefarm_core::{ImageName, Serial};
    use icefarm_sim::{BoardChoice, Effect, Fault, Trigger, VirtualBus};
    use std::time::Duration;

    fn parse(text: &str) -> Result<FaultFile, FaultFileError> {
        FaultFile::parse(Path::new("f.toml"), text)
    }

    fn complaint(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_file_says_what_a_plan_says() {
        let text = r#"
            seed = 7
            [[fault]]
            what = "unplug"
            when = "circuit"
            boards = [1, "example pico2ice serial"]
            firmware = "default"
            delay_seconds = 0.5
            chance = 0.25
            after = 3
            times = 2
            lasts_seconds = 3
            [[fault]]
            what = "hang"
            when = "flash"
            at_percent = 40
            nth = 2
            [[fault]]
            what = "slow-link"
            bytes_per_second = 2_000
            when = "time"
            at_seconds = 5
            every_seconds = 60
            lasts_seconds = 1.5
            [[fault]]
            what = "garbage"
            when = "transfer"
            at_bytes = 50000
            [[fault]]
            what = "wrong-answer"
            off_by = -3
            [[fault]]
            what = "refuse-image"
            [[fault]]
            what = "corrupt-image"
            when = "flash"
            [[fault]]
            what = "stall"
            when = "start"
            [[fault]]
            what = "unplug"
            when = "power"
        "#;
        let seconds = Duration::from_secs_f64;
        let unplug = Effect::Unplug { lasts: Some(seconds(3.0)) };
        let slow = Effect::SlowLink { bytes_per_second: 2000, lasts: Some(seconds(1.5)) };
        let time = Trigger::Time { first: seconds(5.0), every: Some(seconds(60.0)) };
        let serial = Serial::new("example pico2ice serial").unwrap();
        let faults = [
            Fault::new(unplug, Trigger::Circuit)
                .on([BoardChoice::Index(1), BoardChoice::Serial(serial)])
                .firmware(ImageName::new("default").unwrap())
                .delay(seconds(0.5))
                .chance(0.25)
                .after(3)
                .times(2),
            Fault::new(Effect::Hang, Trigger::Flash { percent: 40 }).after(1).times(1),
            Fault::new(slow, time),
            Fault::new(Effect::GARBAGE, Trigger::Transfer { bytes: 50_000 }),
            Fault::wrong_answer(-3),
            Fault::new(Effect::RefuseImage, Trigger::Flash { percent: 0 }),
            Fault::new(Effect::CorruptImage, Trigger::Flash { percent: 0 }),
            Fault::new(Effect::Stall, Trigger::Start),
            Fault::new(Effect::Unplug { lasts: None }, Trigger::Power),
        ];
        let plan = faults.into_iter().try_fold(FaultPlan::new(7), FaultPlan::with).unwrap();
        assert_eq!(*parse(text).unwrap().plan(), plan);
        assert_eq!(*parse("").unwrap().plan(), FaultPlan::new(0));
    }

    #[test]
    fn the_examples_are_sound() {
        for name in ["lab.toml", "pipeline.toml"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/faults");
            let file = FaultFile::read(&folder.join(name)).unwrap();
            assert_eq!(file.plan().faults().len(), 4, "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_file_line_and_key() {
        let hang = "[[fault]]\nwhat = \"hang\"\nwhen = \"start\"\n";
        for (text, expected) in [
            ("[[fault]\n", "f.toml:1: "),
            ("seed = -1", "f.toml:1: `seed`: a whole number from 0 on, not `-1`"),
            ("sede = 1", "f.toml:1: `sede`: not known; known keys: seed, fault"),
            ("fault = 3", "f.toml:1: `fault`: a list of tables, each begun by [[fault]]"),
            ("\n[[fault]]\nwhen = \"start\"", "f.toml:2: `what`: missing; one of: unplug, hang, "),
            (
                "[[fault]]\nwhat = \"hagn\"",
                "f.toml:2: `what`: unknown `hagn`; one of: unplug, hang, stall, garbage, \
                 slow-link, refuse-image, corrupt-image, wrong-answer",
            ),
            ("[[fault]]\nwhat = \"hang\"", "f.toml:1: `when`: missing; one of: power, "),
            (
                &format!("{hang}nht = 3"),
                "f.toml:4: `nht`: not known for `hang` at `start`; known keys: what, when, ",
            ),
            (&format!("{hang}at_percent = 3"), "f.toml:4: `at_percent`: not known for `hang` at"),
            (&format!("{hang}nth = 0"), "f.toml:4: `nth`: it is counted from 1"),
            (
                &format!("{hang}nth = 1\nafter = 2"),
                "f.toml:5: `after`: either this or `nth`, not both",
            ),
            (&format!("{hang}chance = 2"), "f.toml:4: `chance`: a chance is a number from 0 to 1"),
            (&format!("{hang}chance = \"x\""), "f.toml:4: `chance`: a number, not a string"),
            (&format!("{hang}delay_seconds = -1"), "f.toml:4: `delay_seconds`: seconds from 0 on"),
            (&format!("{hang}boards = 0.5"), "f.toml:4: `boards`: a list of places and serials"),
            (
                &format!("{hang}boards = [\n0,\ntrue]"),
                "f.toml:6: `boards`: a place from 0 on or a serial, not a boolean",
            ),
            (&format!("{hang}boards = []"), "f.toml:4: `boards`: an empty list would be no fault"),
            (
                "[[fault]]\nwhat = \"stall\"\nwhen = \"power\"",
                "f.toml:3: `when`: `stall` cannot happen at `power`",
            ),
            (
                "[[fault]]\nwhat = \"slow-link\"\nwhen = \"power\"",
                "f.toml:1: `bytes_per_second`: missing",
            ),
            (
                "[[fault]]\nwhat = \"hang\"\nwhen = \"time\"",
                "f.toml:1: `at_seconds`: missing; or say `every_seconds`",
            ),
        ] {
            let complaint = complaint(text);
            assert!(complaint.starts_with(expected), "{complaint}\n{expected}");
        }
    }

    #[test]
    fn what_does_not_fit_the_bus_has_its_line_too() {
        let text = "[[fault]]\nwhat = \"hang\"\nwhen = \"start\"\nboards = [4]";
        let file = parse(text).unwrap();
        let bus = VirtualBus::builder().boards(4).faults(file.plan().clone());
        let error = file.explain(bus.build().unwrap_err()).unwrap();
        assert_eq!(
            error.to_string(),
            "f.toml:4: `boards`: there is no board 4: the bus has 4 boards, numbered from 0"
        );
        let other = VirtualBus::builder().speed(0.0).build().unwrap_err();
        assert!(file.explain(other).is_err());
    }
}
