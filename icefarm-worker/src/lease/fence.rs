//! What keeps a state apart from its board and its client once its lease is over.

use super::port::{PortLeash, leash};
use icefarm_core::{BoardError, SerialPort};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The gate between one lease's state and everything else. It only ever closes.
#[derive(Default)]
pub(crate) struct Fence {
    gate: Mutex<Gate>,
}

#[derive(Default)]
struct Gate {
    muted: bool,
    cut: bool,
    ports: Vec<PortLeash>,
}

impl Fence {
    /// Runs `speak` if the state may still tell its client anything. It is over before the gate
    /// closes, so nothing is said afterwards.
    pub(crate) fn if_heard(&self, speak: impl FnOnce()) {
        let gate = self.lock();
        if !gate.muted {
            speak();
        }
    }

    /// Whether the state may still use its board.
    pub(crate) fn is_open(&self) -> bool {
        !self.lock().cut
    }

    /// Puts a port on the leash before the state gets it.
    pub(crate) fn adopt(&self, port: SerialPort) -> Result<SerialPort, BoardError> {
        let mut gate = self.lock();
        if gate.cut {
            return Err(BoardError::LeaseOver);
        }
        let (leased, end) = leash(port);
        gate.ports.retain(|port| !port.is_closed());
        gate.ports.push(end);
        Ok(leased)
    }

    /// From now on the client hears nothing of this state.
    pub(crate) fn mute(&self) {
        self.lock().muted = true;
    }

    /// From now on the state reaches neither its client nor its board; its open ports are closed.
    pub(crate) fn cut(&self) {
        let ports = {
            let mut gate = self.lock();
            gate.muted = true;
            gate.cut = true;
            std::mem::take(&mut gate.ports)
        };
        for port in ports {
            port.cut();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_gate_lets_nothing_through() {
        let fence = Fence::default();
        let mut said = 0;
        fence.if_heard(|| said += 1);
        fence.mute();
        fence.if_heard(|| said += 1);
        assert_eq!(said, 1);
        assert!(fence.is_open());
        let held = fence.adopt(Box::new(tokio::io::empty())).unwrap();
        fence.cut();
        assert!(!fence.is_open());
        assert!(fence.adopt(held).is_err());
    }
}
