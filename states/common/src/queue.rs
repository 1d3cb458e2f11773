//! The circuits that wait at a board.

use icefarm_core::{Blob, EvaluationId, Overloaded};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// How many circuits may wait at one board, and how many bytes: about a thousand circuits, hours
/// of work for the board and what a worker with many boards can hold in memory.
pub(crate) const MAX_CIRCUITS: usize = 1024;
pub(crate) const MAX_BYTES: usize = 128 * 1024 * 1024;

/// A circuit to be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Circuit {
    pub(crate) id: EvaluationId,
    /// The batch that it came with; its result goes back under the same.
    pub(crate) batch: Arc<str>,
    pub(crate) bytes: Blob,
    /// How often it was begun.
    pub(crate) attempts: u32,
}

/// Circuits in the order of their arrival; the first may be on the board.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Circuit>,
    running: Option<Circuit>,
    /// Of those that wait and the one that runs.
    ids: HashSet<EvaluationId>,
    bytes: usize,
}

impl Queue {
    /// Takes circuits in, all of them or none. Those that are in the queue already, or on the
    /// board, are not taken a second time.
    pub(crate) fn offer(&mut self, circuits: Vec<Circuit>) -> Result<(), Overloaded> {
        let mut fresh = Vec::new();
        let mut ids = HashSet::new();
        for circuit in circuits {
            if !self.ids.contains(&circuit.id) && ids.insert(circuit.id.clone()) {
                fresh.push(circuit);
            }
        }
        let bytes = fresh.iter().map(|circuit| circuit.bytes.len()).sum::<usize>();
        let (number, total) = (self.ids.len() + fresh.len(), self.bytes.saturating_add(bytes));
        if number > MAX_CIRCUITS || total > MAX_BYTES {
            return Err(Overloaded(format!(
                "{} circuits wait at this board, and {} more do not fit: at most {MAX_CIRCUITS} \
                 may, of {MAX_BYTES} bytes in all; send them again when results have come",
                self.ids.len(),
                fresh.len(),
            )));
        }
        self.bytes = total;
        self.ids.extend(ids);
        self.waiting.extend(fresh);
        Ok(())
    }

    /// The next circuit, which from now on is on the board.
    pub(crate) fn next(&mut self) -> Option<Circuit> {
        debug_assert!(self.running.is_none(), "one circuit at a time");
        self.running = self.waiting.pop_front();
        self.running.clone()
    }

    /// Counts one more attempt for the circuit on the board.
    pub(crate) fn begin(&mut self) -> u32 {
        self.running.as_mut().map_or(0, |circuit| {
            circuit.attempts += 1;
            circuit.attempts
        })
    }

    /// The circuit on the board has its outcome.
    pub(crate) fn finish(&mut self) {
        if let Some(circuit) = self.running.take() {
            self.ids.remove(&circuit.id);
            self.bytes -= circuit.bytes.len();
        }
    }

    /// The circuit on the board was interrupted and is the next one again.
    pub(crate) fn interrupt(&mut self) {
        if let Some(circuit) = self.running.take() {
            self.waiting.push_front(circuit);
        }
    }

    /// Whether the circuit waits or is on the board.
    pub(crate) fn has(&self, id: &EvaluationId) -> bool {
        self.ids.contains(id)
    }

    /// How many circuits wait, without the one on the board.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circuit(id: &str, bytes: usize) -> Circuit {
        Circuit { id: id.into(), batch: "b".into(), bytes: vec![0; bytes].into(), attempts: 0 }
    }

    fn circuits(ids: &[&str]) -> Vec<Circuit> {
        ids.iter().map(|id| circuit(id, 10)).collect()
    }

    fn order(queue: &mut Queue) -> Vec<String> {
        std::iter::from_fn(|| {
            let next = queue.next()?;
            queue.finish();
            Some(next.id.to_string())
        })
        .collect()
    }

    #[test]
    fn order_of_arrival_is_kept() {
        let mut queue = Queue::default();
        queue.offer(circuits(&["b", "a"])).unwrap();
        queue.offer(circuits(&["c"])).unwrap();
        assert_eq!(order(&mut queue), ["b", "a", "c"]);
        assert_eq!((queue.bytes, queue.ids.len()), (0, 0));
    }

    #[test]
    fn what_waits_or_runs_is_not_queued_twice() {
        let mut queue = Queue::default();
        queue.offer(circuits(&["a", "b", "b"])).unwrap();
        queue.next().unwrap();
        queue.offer(circuits(&["a", "b", "c"])).unwrap();
        assert_eq!(queue.waiting(), 2);
        queue.finish();
        // What is over may be asked for again.
        queue.offer(circuits(&["a"])).unwrap();
        assert_eq!(order(&mut queue), ["b", "c", "a"]);
    }

    #[test]
    fn an_interrupted_circuit_is_the_next_one() {
        let mut queue = Queue::default();
        queue.offer(circuits(&["a", "b"])).unwrap();
        queue.next().unwrap();
        assert_eq!(queue.begin(), 1);
        queue.interrupt();
        assert_eq!(queue.next().unwrap().id.as_str(), "a");
        assert_eq!(queue.begin(), 2);
        queue.finish();
        assert_eq!(order(&mut queue), ["b"]);
    }

    #[test]
    fn a_full_queue_takes_all_of_a_command_or_nothing() {
        let mut queue = Queue::default();
        let many: Vec<_> = (0..MAX_CIRCUITS - 1).map(|n| circuit(&n.to_string(), 1)).collect();
        queue.offer(many).unwrap();
        let error = queue.offer(circuits(&["x", "y"])).unwrap_err();
        assert!(error.to_string().contains("1023 circuits wait"), "{error}");
        queue.offer(circuits(&["x", "0"])).unwrap();
        assert!(queue.offer(circuits(&["y"])).is_err());

        let mut queue = Queue::default();
        assert!(queue.offer(vec![circuit("a", MAX_BYTES + 1)]).is_err());
        queue.offer(vec![circuit("a", MAX_BYTES)]).unwrap();
        assert!(queue.offer(vec![circuit("b", 1)]).is_err());
        assert_eq!(order(&mut queue), ["a"]);
        queue.offer(vec![circuit("b", 1)]).unwrap();
    }
}
