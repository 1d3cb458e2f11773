//! Who does something, until it is written down in the audit log.

use crate::machine::Answer;
use icefarm_core::wire::{AuditEntry, ErrorCode, Role};
use icefarm_core::{ClientName, Serial, Timestamp, TokenId, WorkerName};

/// Who does what to what.
#[derive(Debug, Clone)]
pub(crate) struct Trail(AuditEntry);

impl Trail {
    /// Somebody does something.
    pub(crate) fn new(role: Role, peer: String, action: &str) -> Self {
        Self(AuditEntry {
            seq: 0,
            at: Timestamp::default(),
            token: None,
            label: None,
            role,
            peer,
            action: action.to_owned(),
            client: None,
            serials: Vec::new(),
            worker: None,
            on_token: None,
            outcome: "done".to_owned(),
        })
    }

    /// By a token.
    pub(crate) fn by(mut self, token: &TokenId, label: &str) -> Self {
        (self.0.token, self.0.label) = (Some(token.clone()), Some(label.to_owned()));
        self
    }

    /// In a client's name, or to its lease.
    pub(crate) fn client(mut self, client: Option<&ClientName>) -> Self {
        self.0.client = client.cloned();
        self
    }

    /// To boards.
    pub(crate) fn serials(mut self, serials: &[Serial]) -> Self {
        self.0.serials = serials.to_vec();
        self
    }

    /// To a worker.
    pub(crate) fn worker(mut self, worker: &WorkerName) -> Self {
        self.0.worker = Some(worker.clone());
        self
    }

    /// To a token.
    pub(crate) fn on_token(mut self, token: &TokenId) -> Self {
        self.0.on_token = Some(token.clone());
        self
    }

    /// It was not allowed.
    pub(crate) fn refused(mut self, code: ErrorCode) -> Self {
        code.as_str().clone_into(&mut self.0.outcome);
        self
    }

    /// The boards to which it was done in the end.
    pub(super) fn with_answer(mut self, answer: &Answer) -> Self {
        match answer {
            Answer::Reserved(answer) => {
                self.0.serials = answer.boards.iter().map(|board| board.serial.clone()).collect();
            }
            Answer::Serials(serials) => self.0.serials.clone_from(serials),
            _ => {}
        }
        self
    }

    pub(super) fn entry(self, seq: u64, at: Timestamp) -> AuditEntry {
        AuditEntry { seq, at, ..self.0 }
    }
}
