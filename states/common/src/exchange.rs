//! One circuit and its answer: which lines may come when.

use crate::lines::Line;
use icefarm_core::BoardError;
use std::error::Error;

/// What a board says of a circuit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer<R> {
    Reading {
        reading: R,
        /// Why it is wrong on purpose.
        falsified: Option<String>,
    },
    Refused {
        code: String,
        reason: String,
    },
}

/// Why a board's answer to a circuit is not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the board did not answer within {seconds} s")]
    NoAnswer { seconds: u64 },
    #[error("the board gave up waiting for the circuit after {received} bytes of it")]
    Incomplete { received: u64 },
    #[error("the board wrote what its firmware never writes: {what}")]
    Garbled { what: String },
    #[error("the board was lost: {why}")]
    Lost { why: String },
}

impl Fault {
    /// The word for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NoAnswer { .. } => "board_no_answer",
            Self::Incomplete { .. } => "board_incomplete",
            Self::Garbled { .. } => "board_garbled",
            Self::Lost { .. } => "board_lost",
        }
    }

    fn garbled(what: impl Into<String>) -> Self {
        Self::Garbled { what: what.into() }
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Lost { why: error.to_string() }
    }
}

impl From<BoardError> for Fault {
    fn from(error: BoardError) -> Self {
        Self::Lost { why: explain(&error) }
    }
}

/// The error with all its causes, in one line.
pub(crate) fn explain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// What a line means for the exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step<R> {
    /// The answer.
    Done(Answer<R>),
    /// The board is alive and needs more time.
    Alive,
    /// Nothing new.
    Wait,
}

/// Follows one circuit from its first byte to its answer, and takes nothing else for the answer.
///
/// The firmware reads no bytes while it counts, and its buffer is far smaller than a circuit. So an
/// answer that comes before the whole circuit is written belongs to an earlier one; one that
/// comes afterwards, in full, belongs to this one.
#[derive(Debug)]
pub(crate) struct Exchange {
    simulated: bool,
    sent: bool,
    configured: bool,
    falsified: Option<String>,
}

impl Exchange {
    /// Nothing is written yet. `simulated` boards may say more than real ones.
    pub(crate) fn new(simulated: bool) -> Self {
        Self { simulated, sent: false, configured: false, falsified: None }
    }

    /// The circuit is written to its last byte, and everything was read that had come by then.
    pub(crate) fn sent(&mut self) {
        self.sent = true;
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.sent
    }

    pub(crate) fn step<R>(&mut self, line: Line<R>) -> Result<Step<R>, Fault> {
        match line {
            Line::Chatter | Line::Receiving => Ok(Step::Wait),
            Line::Noise(text) => Err(Fault::garbled(format!("`{text}`"))),
            Line::Watchdog { received } => Err(Fault::Incomplete { received }),
            Line::Received
            | Line::FlashTimes
            | Line::Reading(_)
            | Line::Refused { .. }
            | Line::Falsified(_)
                if !self.sent =>
            {
                Err(Fault::garbled("an answer before it had the whole circuit"))
            }
            Line::Received => Ok(Step::Wait),
            Line::FlashTimes => {
                self.configured = true;
                Ok(Step::Wait)
            }
            Line::Reading(_) | Line::Refused { .. } if !self.configured => {
                Err(Fault::garbled("an answer without its first line"))
            }
            Line::Reading(reading) => {
                let falsified = self.falsified.take();
                Ok(Step::Done(Answer::Reading { reading, falsified }))
            }
            Line::Refused { code, reason } if self.simulated => {
                Ok(Step::Done(Answer::Refused { code, reason }))
            }
            Line::Simulating if self.simulated => Ok(Step::Alive),
            Line::Falsified(reason) if self.simulated => {
                self.falsified = Some(reason);
                Ok(Step::Wait)
            }
            Line::Refused { .. } | Line::Simulating | Line::Falsified(_) => {
                Err(Fault::garbled("what only virtual boards write"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Line = super::Line<u64>;

    fn sent(simulated: bool) -> Exchange {
        let mut exchange = Exchange::new(simulated);
        exchange.sent();
        exchange
    }

    fn refused() -> Line {
        Line::Refused { code: "pll".into(), reason: "no".into() }
    }

    fn figure(falsified: Option<&str>) -> Answer<u64> {
        Answer::Reading { reading: 7, falsified: falsified.map(str::to_owned) }
    }

    #[test]
    fn an_answer_that_is_wrong_on_purpose_says_so() {
        let mut exchange = sent(true);
        for line in [Line::Falsified("by x".into()), Line::FlashTimes] {
            assert_eq!(exchange.step(line), Ok(Step::Wait));
        }
        assert_eq!(exchange.step(Line::Reading(7)), Ok(Step::Done(figure(Some("by x")))));
        assert_eq!(exchange.step(Line::Reading(7)), Ok(Step::Done(figure(None))));
    }

    #[test]
    fn an_answer_is_taken_when_it_is_due() {
        let mut exchange = Exchange::new(false);
        for line in [Line::Chatter, Line::Receiving] {
            assert_eq!(exchange.step(line), Ok(Step::Wait));
        }
        exchange.sent();
        for line in [Line::Received, Line::Chatter, Line::FlashTimes] {
            assert_eq!(exchange.step(line), Ok(Step::Wait));
        }
        assert_eq!(exchange.step(Line::Reading(7)), Ok(Step::Done(figure(None))));
    }

    #[test]
    fn the_answer_to_an_earlier_circuit_is_not_taken() {
        for late in [Line::Received, Line::FlashTimes, Line::Reading(7), refused()] {
            let fault = Exchange::new(true).step(late).unwrap_err();
            assert_eq!(fault.code(), "board_garbled");
        }
        // The end of an answer whose beginning was thrown away.
        assert_eq!(sent(false).step(Line::Reading(7)).unwrap_err().code(), "board_garbled");
    }

    #[test]
    fn only_virtual_boards_refuse() {
        for simulated in [true, false] {
            let mut exchange = sent(simulated);
            exchange.step(Line::FlashTimes).unwrap();
            assert_eq!(exchange.step(Line::Simulating).is_ok(), simulated);
            assert_eq!(exchange.step(Line::Falsified("x".into())).is_ok(), simulated);
            assert_eq!(exchange.step(refused()).is_ok(), simulated);
        }
    }

    #[test]
    fn faults_are_told_apart() {
        let code = |line| sent(false).step(line).unwrap_err().code();
        assert_eq!(code(Line::Noise("x".into())), "board_garbled");
        assert_eq!(code(Line::Watchdog { received: 3 }), "board_incomplete");
    }
}
