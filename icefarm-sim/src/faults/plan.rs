//! Which boards, when, how often, and what.

use super::{Effect, Trigger};
use icefarm_core::{ImageName, Serial};
use std::fmt;
use std::time::Duration;

/// A board that a fault is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoardChoice {
    /// Its place among the boards of its bus, from 0.
    Index(usize),
    /// Its serial.
    Serial(Serial),
}

impl BoardChoice {
    pub(super) fn is(&self, index: usize, serial: &Serial) -> bool {
        match self {
            Self::Index(chosen) => *chosen == index,
            Self::Serial(chosen) => chosen == serial,
        }
    }
}

impl fmt::Display for BoardChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "{index}"),
            Self::Serial(serial) => write!(f, "`{serial}`"),
        }
    }
}

/// One thing that goes wrong. Without more said it happens to every board, each time.
///
/// All times are the boards' own: they run faster where the bus says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub(super) effect: Effect,
    pub(super) trigger: Trigger,
    /// `None` for all.
    pub(super) boards: Option<Vec<BoardChoice>>,
    pub(super) firmware: Option<ImageName>,
    pub(super) after: u64,
    pub(super) times: Option<u64>,
    pub(super) chance: f64,
    pub(super) delay: Duration,
}

impl Fault {
    /// `effect` whenever `trigger`.
    #[must_use]
    pub fn new(effect: Effect, trigger: Trigger) -> Self {
        Self {
            effect,
            trigger,
            boards: None,
            firmware: None,
            after: 0,
            times: None,
            chance: 1.0,
            delay: Duration::ZERO,
        }
    }

    /// A flash that refuses every image.
    #[must_use]
    pub fn refuse_image() -> Self {
        Self::new(Effect::RefuseImage, Trigger::Flash { percent: 0 })
    }

    /// A flash that keeps no image.
    #[must_use]
    pub fn corrupt_image() -> Self {
        Self::new(Effect::CorruptImage, Trigger::Flash { percent: 100 })
    }

    /// Answers that are wrong by so much.
    #[must_use]
    pub fn wrong_answer(off_by: i64) -> Self {
        Self::new(Effect::WrongAnswer { off_by }, Trigger::Answer)
    }

    /// Only to these boards.
    #[must_use]
    pub fn on(mut self, boards: impl IntoIterator<Item = BoardChoice>) -> Self {
        self.boards = Some(boards.into_iter().collect());
        self
    }

    /// Only while this firmware runs, or is written.
    #[must_use]
    pub fn firmware(mut self, image: ImageName) -> Self {
        self.firmware = Some(image);
        self
    }

    /// Not the first so many times; each board counts for itself.
    #[must_use]
    pub fn after(mut self, occasions: u64) -> Self {
        self.after = occasions;
        self
    }

    /// At most so many times to each board.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Only with this probability, from 0 to 1. The dice are the plan's seed, the board's serial,
    /// the fault's place in the plan and the occasion's number: the same every time.
    #[must_use]
    pub fn chance(mut self, probability: f64) -> Self {
        self.chance = probability;
        self
    }

    /// Not at once, but so much later.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// What happens.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// When it happens.
    #[must_use]
    pub fn trigger(&self) -> Trigger {
        self.trigger
    }

    pub(super) fn is_for(&self, index: usize, serial: &Serial) -> bool {
        self.boards
            .as_ref()
            .is_none_or(|boards| boards.iter().any(|choice| choice.is(index, serial)))
    }

    fn check(&self) -> Result<(), FaultError> {
        let (effect, trigger) = (self.effect, self.trigger);
        let fits = match effect {
            Effect::RefuseImage | Effect::CorruptImage => matches!(trigger, Trigger::Flash { .. }),
            Effect::WrongAnswer { .. } => trigger == Trigger::Answer,
            // Nothing runs then that could stand still or write.
            Effect::Stall | Effect::Garbage { .. } => {
                !matches!(trigger, Trigger::Power | Trigger::Bootloader | Trigger::Flash { .. })
            }
            Effect::Unplug { .. } | Effect::Hang | Effect::SlowLink { .. } => true,
        };
        if !fits {
            return Err(FaultError::Mismatch { effect: effect.name(), trigger: trigger.name() });
        }
        let immediate = matches!(
            effect,
            Effect::RefuseImage | Effect::CorruptImage | Effect::WrongAnswer { .. }
        );
        if immediate && !self.delay.is_zero() {
            return Err(FaultError::Delay { effect: effect.name() });
        }
        if self.firmware.is_some() && matches!(trigger, Trigger::Power | Trigger::Bootloader) {
            return Err(FaultError::Firmware { trigger: trigger.name() });
        }
        let nothing = match (effect, trigger) {
            (Effect::Garbage { bytes: 0 }, _) => Some("bytes"),
            (Effect::SlowLink { bytes_per_second: 0, .. }, _) => Some("bytes_per_second"),
            (Effect::WrongAnswer { off_by: 0 }, _) => Some("off_by"),
            (_, Trigger::Time { every: Some(Duration::ZERO), .. }) => Some("every_seconds"),
            (_, Trigger::Transfer { bytes: 0 }) => Some("at_bytes"),
            _ if self.times == Some(0) => Some("times"),
            _ => None,
        };
        if let Some(key) = nothing {
            return Err(FaultError::Zero { key });
        }
        if let Trigger::Flash { percent } = trigger
            && percent > 100
        {
            return Err(FaultError::Percent { percent });
        }
        if !(0.0..=1.0).contains(&self.chance) {
            return Err(FaultError::Chance { chance: self.chance });
        }
        Ok(())
    }
}

/// Why a fault cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultError {
    /// It cannot happen then.
    #[error("`{effect}` cannot happen at `{trigger}`")]
    Mismatch {
        /// What.
        effect: &'static str,
        /// When.
        trigger: &'static str,
    },
    /// It belongs to what triggers it, and cannot come later.
    #[error("`{effect}` happens at once or not at all; leave the delay out")]
    Delay {
        /// What.
        effect: &'static str,
    },
    /// No firmware runs then.
    #[error("no firmware runs at `{trigger}`; leave its name out")]
    Firmware {
        /// When.
        trigger: &'static str,
    },
    /// A number that would make it nothing.
    #[error("it must not be 0: that would be no fault")]
    Zero {
        /// Which, as files name it.
        key: &'static str,
    },
    /// More than all of an image.
    #[error("an image is written by 0 to 100 percent, not {percent}")]
    Percent {
        /// What was said.
        percent: u8,
    },
    /// No probability.
    #[error("a chance is a number from 0 to 1, not {chance}")]
    Chance {
        /// What was said.
        chance: f64,
    },
    /// No board of the bus is meant.
    #[error("there is no board {board}: the bus has {boards} boards, numbered from 0")]
    NoBoard {
        /// Which.
        board: BoardChoice,
        /// How many there are.
        boards: usize,
    },
    /// No firmware of the bus is meant.
    #[error("no firmware image `{image}` is linked; known images: {known}")]
    UnknownFirmware {
        /// Which.
        image: ImageName,
        /// Those that there are.
        known: String,
    },
}

impl FaultError {
    /// Which key of a fault in a file is wrong.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Mismatch { .. } => "when",
            Self::Delay { .. } => "delay_seconds",
            Self::Firmware { .. } | Self::UnknownFirmware { .. } => "firmware",
            Self::Zero { key } => key,
            Self::Percent { .. } => "at_percent",
            Self::Chance { .. } => "chance",
            Self::NoBoard { .. } => "boards",
        }
    }
}

/// Everything that is to go wrong with the boards of a bus.
///
/// The same plan does the same to the same boards: what is left to chance is a function of the
/// seed.
///
/// ```
/// use icefarm_core::{Board, Face};
/// use icefarm_sim::{BoardChoice, Effect, Fault, FaultPlan, Trigger, VirtualBus};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let shaky = Effect::Unplug { lasts: Some(Duration::from_secs(3)) };
/// let plan = FaultPlan::new(7)
///     // The second board is pulled in the middle of every tenth measurement or so ..
///     .with(
///         Fault::new(shaky, Trigger::Circuit)
///             .delay(Duration::from_millis(500))
///             .chance(0.1)
///             .on([BoardChoice::Index(1)]),
///     )?
///     // .. and each board hangs once it has been there for a minute.
///     .with(Fault::new(
///         Effect::Hang,
///         Trigger::Time { first: Duration::from_secs(60), every: None },
///     ))?;
/// let bus = VirtualBus::builder().boards(2).faults(plan).build()?;
/// let mut presence = bus.all()[1].presence();
/// presence.wait_for(|now| now.face == Some(Face::Default)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FaultPlan {
    seed: u64,
    faults: Vec<Fault>,
}

impl FaultPlan {
    /// Nothing goes wrong yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, faults: Vec::new() }
    }

    /// And this goes wrong too.
    ///
    /// # Errors
    /// [`FaultError`] if it never can.
    pub fn with(mut self, fault: Fault) -> Result<Self, FaultError> {
        fault.check()?;
        self.faults.push(fault);
        Ok(self)
    }

    /// What goes wrong. In messages and logs a fault is called by its place here, from 1.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// What chance is made of.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether boards may tell what they did not measure.
    #[must_use]
    pub fn falsifies(&self) -> bool {
        self.faults.iter().any(|fault| matches!(fault.effect, Effect::WrongAnswer { .. }))
    }

    /// The first fault that is for a board or a firmware that is not there, by its place.
    pub(crate) fn misses(
        &self,
        boards: &[Serial],
        has_image: impl Fn(&ImageName) -> bool,
        images: &str,
    ) -> Option<(usize, FaultError)> {
        for (place, fault) in self.faults.iter().enumerate() {
            let mut choices = fault.boards.iter().flatten();
            let there = |choice: &&BoardChoice| {
                boards.iter().enumerate().any(|(index, serial)| choice.is(index, serial))
            };
            if let Some(board) = choices.find(|choice| !there(choice)) {
                let (board, boards) = (board.clone(), boards.len());
                return Some((place, FaultError::NoBoard { board, boards }));
            }
            if let Some(image) = fault.firmware.as_ref().filter(|image| !has_image(image)) {
                let (image, known) = (image.clone(), images.to_owned());
                return Some((place, FaultError::UnknownFirmware { image, known }));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(fault: Fault) -> (&'static str, String) {
        let error = FaultPlan::new(0).with(fault).unwrap_err();
        (error.key(), error.to_string())
    }

    #[test]
    fn what_never_can_happen_is_refused_by_its_key() {
        let wrong = Fault::new(Effect::WrongAnswer { off_by: 1 }, Trigger::Start);
        let text = "`wrong-answer` cannot happen at `start`";
        assert_eq!(refused(wrong), ("when", text.to_owned()));
        let text = "`refuse-image` happens at once or not at all; leave the delay out";
        let late = Fault::refuse_image().delay(Duration::from_secs(1));
        assert_eq!(refused(late), ("delay_seconds", text.to_owned()));
        for (fault, key) in [
            (Fault::wrong_answer(0), "off_by"),
            (Fault::new(Effect::Garbage { bytes: 0 }, Trigger::Start), "bytes"),
            (Fault::new(Effect::Stall, Trigger::Bootloader), "when"),
            (Fault::new(Effect::GARBAGE, Trigger::Power), "when"),
            (Fault::new(Effect::RefuseImage, Trigger::Start), "when"),
            (Fault::new(Effect::Hang, Trigger::Flash { percent: 101 }), "at_percent"),
            (Fault::new(Effect::Hang, Trigger::Transfer { bytes: 0 }), "at_bytes"),
            (Fault::new(Effect::Hang, Trigger::Start).chance(1.5), "chance"),
            (Fault::new(Effect::Hang, Trigger::Start).chance(f64::NAN), "chance"),
            (Fault::new(Effect::Hang, Trigger::Start).times(0), "times"),
            (
                Fault::new(Effect::Hang, Trigger::Power)
                    .firmware(ImageName::new("default").unwrap()),
                "firmware",
            ),
        ] {
            assert_eq!(refused(fault).0, key);
        }
    }

    #[test]
    fn boards_and_firmware_that_are_not_there_are_found() {
        let boards = [Serial::new("A").unwrap(), Serial::new("B").unwrap()];
        let known = |image: &ImageName| image.as_str() == "default";
        let misses = |fault: Fault| {
            let plan = FaultPlan::new(0).with(Fault::refuse_image()).unwrap().with(fault).unwrap();
            plan.misses(&boards, known, "default").map(|(place, error)| {
                assert_eq!(place, 1);
                error.to_string()
            })
        };
        let hang = || Fault::new(Effect::Hang, Trigger::Start);
        assert_eq!(misses(hang().on([BoardChoice::Index(1)])), None);
        assert_eq!(misses(hang().firmware(ImageName::new("default").unwrap())), None);
        let text = "there is no board 2: the bus has 2 boards, numbered from 0";
        assert_eq!(misses(hang().on([BoardChoice::Index(2)])).unwrap(), text);
        let stranger = BoardChoice::Serial(Serial::new("C").unwrap());
        assert!(misses(hang().on([stranger])).unwrap().contains("no board `C`"));
        let text = misses(hang().firmware(ImageName::new("pulse").unwrap())).unwrap();
        assert_eq!(text, "no firmware image `pulse` is linked; known images: default");
    }
}
