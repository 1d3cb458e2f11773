//! Commands to the states of reserved boards.

use crate::book::Phase;
use crate::client::Client;
use crate::error::ClientError;
use crate::loss::{Loss, codes};
use crate::outstanding::CommandFailure;
use crate::reservation::object;
use icefarm_core::wire::ClientFrame;
use icefarm_core::{Object, Serial, Value};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

impl Client {
    /// Calls a command of the state of a board and waits for its answer.
    ///
    /// `contents` is anything that serde writes as an object; files are
    /// [`Blob`](icefarm_core::Blob)s. A command that was not answered when a connection broke is
    /// sent again under its id, and done once.
    ///
    /// # Errors
    /// [`ClientError::Command`] with the state's or the worker's reason;
    /// [`ClientError::BoardLost`] and [`ClientError::Unreachable`] if nobody will answer;
    /// [`ClientError::CommandTimeout`] after [`Bounds::command`](crate::Bounds::command).
    pub async fn command(
        &self,
        serial: &Serial,
        event: &str,
        contents: impl Serialize,
    ) -> Result<Value, ClientError> {
        let mut answers = self.command_each(std::slice::from_ref(serial), event, contents).await?;
        let answer = answers.pop().map(|(_, answer)| answer);
        answer.unwrap_or_else(|| Err(ClientError::NotHeld { serial: serial.clone() }))
    }

    /// Calls a command on several boards, one upload for each of their workers, and waits for all
    /// answers, which come in the order of `serials`.
    ///
    /// # Errors
    /// [`ClientError::Arguments`] if the contents cannot be sent. Of each board: as
    /// [`Self::command`].
    pub async fn command_each(
        &self,
        serials: &[Serial],
        event: &str,
        contents: impl Serialize,
    ) -> Result<Vec<(Serial, Result<Value, ClientError>)>, ClientError> {
        let contents = object(contents).map_err(ClientError::Arguments)?;
        let mut results = BTreeMap::new();
        let mut workers: BTreeMap<Arc<str>, Vec<Serial>> = BTreeMap::new();
        for serial in serials {
            match self.worker_of(serial) {
                Ok(url) => {
                    let boards = workers.entry(url).or_default();
                    if !boards.contains(serial) {
                        boards.push(serial.clone());
                    }
                }
                Err(error) => drop(results.insert(serial.clone(), Err(error))),
            }
        }
        let (tell, mut answers) = mpsc::unbounded_channel();
        for (url, boards) in workers {
            self.send(&url, boards, event, &contents, tell.clone());
        }
        drop(tell);
        let waited = self.inner().bounds.command;
        // Ends when every board has answered, or after the bound.
        let collected = tokio::time::timeout(waited, async {
            while let Some((serial, url, result)) = answers.recv().await {
                let result = result.map_err(|failure| failed(&serial, event, &url, failure));
                results.insert(serial, result);
            }
        });
        if collected.await.is_err() {
            tracing::debug!(event, "a command was not answered in time");
        }
        let late = |serial: &Serial| {
            let (serial, event) = (serial.clone(), event.to_owned());
            Err(ClientError::CommandTimeout { serial, event, waited })
        };
        let result = |serial: &Serial| results.get(serial).cloned().unwrap_or_else(|| late(serial));
        Ok(serials.iter().map(|serial| (serial.clone(), result(serial))).collect())
    }

    fn send(
        &self,
        url: &Arc<str>,
        serials: Vec<Serial>,
        event: &str,
        contents: &Object,
        tell: mpsc::UnboundedSender<Answered>,
    ) {
        let (event, contents) = (event.to_owned(), contents.clone());
        let held = |serial: &Serial| Some((serial.clone(), self.inner().hub.board(serial)?.lease));
        let leases = serials.iter().filter_map(held).collect();
        let frame = ClientFrame { serials, event, contents, id: None, leases };
        let server = url.clone();
        let answer = Box::new(move |serial: &Serial, result| {
            // The caller may have gone away.
            let _ = tell.send((serial.clone(), server.clone(), result));
        });
        self.inner().send_command(url, frame, answer);
    }

    fn worker_of(&self, serial: &Serial) -> Result<Arc<str>, ClientError> {
        let held = self.inner().hub.board(serial);
        let held = held.ok_or_else(|| ClientError::NotHeld { serial: serial.clone() })?;
        match held.phase {
            Phase::Lost(loss) => Err(lost(serial, loss)),
            Phase::Initializing | Phase::Ready => Ok(held.url),
        }
    }
}

type Answered = (Serial, Arc<str>, Result<Value, CommandFailure>);

fn lost(serial: &Serial, loss: Loss) -> ClientError {
    ClientError::BoardLost { serial: serial.clone(), code: loss.code, reason: loss.reason }
}

fn failed(serial: &Serial, event: &str, url: &Arc<str>, failure: CommandFailure) -> ClientError {
    match failure {
        CommandFailure::Refused(detail) => ClientError::Command {
            serial: serial.clone(),
            event: event.to_owned(),
            code: detail.code,
            message: detail.message,
            details: detail.details,
        },
        CommandFailure::Lost(loss) if loss.code == codes::UNREACHABLE => {
            ClientError::Unreachable { url: url.to_string(), reason: loss.reason, source: None }
        }
        CommandFailure::Lost(loss) if loss.code == codes::CLIENT_CLOSED => ClientError::Closed,
        CommandFailure::Lost(loss) => lost(serial, loss),
    }
}
