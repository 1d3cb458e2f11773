//! The memory that a server lends to what its clients send.

use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many bytes of a message may arrive without being counted: most messages are short, and the
/// number of sockets is bounded.
const UNCOUNTED: usize = 64 << 10;

/// A number of bytes that is lent out in parts and comes back when the parts are dropped.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: usize,
    lent: AtomicUsize,
}

impl Memory {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, lent: AtomicUsize::new(0) })
    }

    /// How many bytes are lent.
    pub(crate) fn lent(&self) -> usize {
        self.lent.load(Ordering::Relaxed)
    }

    /// Lends so many bytes if they are there. Nobody waits for memory: those who have some may be
    /// waiting for more.
    pub(crate) fn lend(self: &Arc<Self>, bytes: usize) -> Option<Loan> {
        let mut loan = Loan { memory: self.clone(), bytes: 0 };
        loan.raise(bytes).then_some(loan)
    }

    fn take(&self, more: usize) -> bool {
        let enough = |lent: usize| lent.checked_add(more).filter(|lent| *lent <= self.limit);
        self.lent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough).is_ok()
    }
}

/// Bytes that come back when it is dropped.
#[derive(Debug)]
pub(crate) struct Loan {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Loan {
    /// Lets the loan be at least so large. Says no, and changes nothing, if there is not so much.
    pub(crate) fn raise(&mut self, to: usize) -> bool {
        let more = to.saturating_sub(self.bytes);
        let raised = more == 0 || self.memory.take(more);
        if raised {
            self.bytes += more;
        }
        raised
    }

    /// Gives back what is over that.
    pub(crate) fn lower(&mut self, to: usize) {
        let over = self.bytes.saturating_sub(to);
        self.bytes -= over;
        self.memory.lent.fetch_sub(over, Ordering::Relaxed);
    }

    /// The bytes, which keep the loan as long as any part or copy of them is there.
    pub(crate) fn hold(self, bytes: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        Bytes::from_owner(Holding { bytes, _loan: self })
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.lower(0);
    }
}

struct Holding<B> {
    bytes: B,
    _loan: Loan,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Holding<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

/// Whose memory a socket's messages take.
pub(crate) type Lender = Box<dyn Fn() -> Arc<Memory> + Send + Sync>;

/// Counts what arrives on one socket, so that it is counted before the message is whole.
pub(crate) struct Intake {
    lender: Lender,
    arriving: Mutex<Arriving>,
}

#[derive(Default)]
struct Arriving {
    bytes: usize,
    loan: Option<Loan>,
    refused: bool,
}

impl Intake {
    pub(crate) fn new(lender: Lender) -> Self {
        Self { lender, arriving: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Arriving> {
        self.arriving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// More of a message has arrived. Says no, once, if there is no memory for it: then the socket
    /// ends, and what still comes of it is thrown away.
    pub(crate) fn arrived(&self, count: usize) -> bool {
        let mut arriving = self.lock();
        arriving.bytes += count;
        let bytes = arriving.bytes;
        if arriving.refused || bytes <= UNCOUNTED {
            return true;
        }
        let fits = match &mut arriving.loan {
            Some(loan) => loan.raise(bytes),
            none => {
                *none = (self.lender)().lend(bytes);
                none.is_some()
            }
        };
        if !fits {
            *arriving = Arriving { refused: true, ..Arriving::default() };
        }
        fits
    }

    /// A message is whole. What it takes, if that much is there.
    pub(crate) fn message(&self, length: usize) -> Option<Loan> {
        let Arriving { loan, .. } = std::mem::take(&mut *self.lock());
        let mut loan = match loan {
            Some(loan) => loan,
            None => (self.lender)().lend(0)?,
        };
        loan.raise(length).then(|| {
            loan.lower(length);
            loan
        })
    }

    /// A frame of the websocket itself came, maybe amid a message.
    pub(crate) fn aside(&self, payload: usize) {
        let mut arriving = self.lock();
        // The head of a short frame of a client has 6 bytes (RFC 6455, section 5.2).
        arriving.bytes = arriving.bytes.saturating_sub(payload + 6);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_lent_comes_back_with_the_last_part_of_it() {
        let memory = Memory::new(100);
        let bytes = memory.lend(60).unwrap().hold(vec![7; 60]);
        assert!(memory.lend(41).is_none());
        let part = bytes.slice(10..20);
        drop(bytes);
        assert_eq!((memory.lent(), &part[..]), (60, &[7; 10][..]));
        drop(part);
        assert_eq!(memory.lent(), 0);
    }

    #[test]
    fn a_long_message_is_counted_while_it_arrives() {
        let memory = Memory::new(300 << 10);
        let lender = || {
            let memory = memory.clone();
            Box::new(move || memory.clone())
        };
        let (first, second) = (Intake::new(lender()), Intake::new(lender()));
        assert!(first.arrived(64 << 10));
        assert_eq!(memory.lent(), 0);
        assert!(first.arrived(100 << 10));
        assert_eq!(memory.lent(), 164 << 10);
        assert!(!second.arrived(164 << 10));
        // It is told once, and what still comes is thrown away.
        assert!(second.arrived(164 << 10));
        let loan = first.message(160 << 10).unwrap();
        assert_eq!(memory.lent(), 160 << 10);
        assert!(first.message(200 << 10).is_none());
        drop(loan);
        assert_eq!(memory.lent(), 0);
        for _ in 0..100_000 {
            assert!(first.arrived(6 + 4));
            first.aside(4);
        }
        assert_eq!(memory.lent(), 0);
    }

    proptest! {
        #[test]
        fn never_is_more_lent_than_there_is(steps in prop::collection::vec((0..8usize, 0..80usize), 0..60)) {
            let memory = Memory::new(100);
            let mut loans: Vec<Loan> = Vec::new();
            for (which, bytes) in steps {
                match loans.get_mut(which) {
                    Some(loan) if bytes % 3 == 0 => loan.lower(bytes),
                    Some(loan) if bytes % 3 == 1 => drop(loan.raise(bytes)),
                    Some(_) => drop(loans.swap_remove(which)),
                    None => loans.extend(memory.lend(bytes)),
                }
                let lent: usize = loans.iter().map(|loan| loan.bytes).sum();
                prop_assert!(lent == memory.lent() && lent <= 100);
            }
        }
    }
}
