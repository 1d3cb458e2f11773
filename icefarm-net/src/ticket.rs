//! Tickets: what control gives clients to show to a worker, which asks nobody about them.
//!
//! `1.CLAIMS.MAC`, both in base64 for URLs without padding (RFC 4648 section 5). The claims are an
//! object of JSON; the MAC is HMAC-SHA256 over them, under a key that only control and one start of
//! one worker can derive.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use icefarm_core::{ClientName, Timestamp, TokenId, WorkerName};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;

/// No ticket is longer: three names of 128 bytes, escaped at the worst.
const LONGEST: usize = 4096;
const VERSION: &str = "1";

/// What a ticket says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketClaims {
    /// In whose name its holder may speak.
    pub client: ClientName,
    /// To which worker.
    pub worker: WorkerName,
    /// By which token it was had.
    pub token: TokenId,
    /// Until when, by control's clock, in milliseconds since 1970.
    #[serde(with = "millis")]
    pub expires: Timestamp,
}

mod millis {
    use icefarm_core::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(time.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        u64::deserialize(from).map(Timestamp)
    }
}

/// Why a ticket is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// It is not of the form of a ticket, or not made by control for this start of this worker.
    #[error("it was not made by control for this start of this worker")]
    Forged,
    /// It is for another worker.
    #[error("it is for another worker")]
    OtherWorker,
    /// Its time is over.
    #[error("its time is over")]
    Expired,
}

/// What tickets for one start of one worker are made and checked with.
#[derive(Clone)]
pub struct TicketKey([u8; 32]);

impl TicketKey {
    /// Derives the key from the secret that the worker registers with.
    #[must_use]
    pub fn derive(secret: &str) -> Self {
        let mut mac = hmac(secret.as_bytes());
        mac.update(b"icefarm key of tickets 1");
        Self(mac.finalize().into_bytes().into())
    }

    /// Makes a ticket.
    #[must_use]
    pub fn issue(&self, claims: &TicketClaims) -> String {
        // Names, numbers and texts can always be written.
        let claims = serde_json::to_vec(claims).unwrap_or_default();
        let mac = self.mac(&claims).finalize().into_bytes();
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        format!("{VERSION}.{}.{}", text(&claims), text(&mac))
    }

    /// Reads a ticket that is shown to `worker` at the time `now` of control's clock.
    ///
    /// # Errors
    /// [`TicketError`]. How long the comparison takes tells nothing.
    pub fn read(
        &self,
        ticket: &str,
        worker: &WorkerName,
        now: Timestamp,
    ) -> Result<TicketClaims, TicketError> {
        let claims = self.open(ticket).ok_or(TicketError::Forged)?;
        if claims.worker != *worker {
            return Err(TicketError::OtherWorker);
        }
        if claims.expires <= now {
            return Err(TicketError::Expired);
        }
        Ok(claims)
    }

    fn open(&self, ticket: &str) -> Option<TicketClaims> {
        if ticket.len() > LONGEST {
            return None;
        }
        let mut parts = ticket.split('.');
        let (version, claims, mac) = (parts.next()?, parts.next()?, parts.next()?);
        if version != VERSION || parts.next().is_some() {
            return None;
        }
        let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        self.mac(&claims).verify_slice(&mac).ok()?;
        serde_json::from_slice(&claims).ok()
    }

    fn mac(&self, claims: &[u8]) -> Hmac<Sha256> {
        let mut mac = hmac(&self.0);
        mac.update(b"icefarm ticket 1\n");
        mac.update(claims);
        mac
    }
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    match Hmac::new_from_slice(key) {
        Ok(mac) => mac,
        // HMAC takes keys of every length (RFC 2104, section 2).
        Err(_) => unreachable!("HMAC takes keys of every length"),
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn claims(client: &str) -> TicketClaims {
        TicketClaims {
            client: client.parse().unwrap(),
            worker: "bench-1".parse().unwrap(),
            token: "t".into(),
            expires: Timestamp(1000),
        }
    }

    fn worker(name: &str) -> WorkerName {
        name.parse().unwrap()
    }

    #[test]
    fn a_ticket_is_good_for_its_worker_and_its_time() {
        let key = TicketKey::derive("secret");
        let ticket = key.issue(&claims("ann"));
        assert_eq!(key.read(&ticket, &worker("bench-1"), Timestamp(999)), Ok(claims("ann")));
        assert_eq!(
            key.read(&ticket, &worker("bench-1"), Timestamp(1000)),
            Err(TicketError::Expired)
        );
        assert_eq!(
            key.read(&ticket, &worker("bench-2"), Timestamp(1)),
            Err(TicketError::OtherWorker)
        );
        let other = TicketKey::derive("secret of another start");
        assert_eq!(other.read(&ticket, &worker("bench-1"), Timestamp(1)), Err(TicketError::Forged));
    }

    #[test]
    fn claims_cannot_be_exchanged() {
        let key = TicketKey::derive("secret");
        let (ann, bob) = (key.issue(&claims("ann")), key.issue(&claims("bob")));
        let parts = |ticket: &str| ticket.split('.').map(str::to_owned).collect::<Vec<_>>();
        let mixed = format!("1.{}.{}", parts(&bob)[1], parts(&ann)[2]);
        let cut = format!("1.{}.", parts(&bob)[1]);
        for wrong in [mixed, cut, format!("{ann}."), format!("2{}", &ann[1..]), String::new()] {
            let read = key.read(&wrong, &worker("bench-1"), Timestamp(1));
            assert_eq!(read, Err(TicketError::Forged), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_other_text_is_a_ticket(text in "1\\.[a-zA-Z0-9_-]{0,80}\\.[a-zA-Z0-9_-]{0,50}|.{0,80}") {
            let key = TicketKey::derive("secret");
            let read = key.read(&text, &worker("bench-1"), Timestamp(1));
            prop_assert_eq!(read, Err(TicketError::Forged));
        }

        #[test]
        fn a_changed_ticket_is_none(client in "[a-z*@ ä]{1,20}", at in 0..60usize, to in "[a-zA-Z0-9_.=-]") {
            let key = TicketKey::derive("secret");
            let ticket = key.issue(&claims(&client));
            prop_assert!(key.read(&ticket, &worker("bench-1"), Timestamp(1)).is_ok());
            let mut changed = ticket.clone();
            changed.replace_range(at..=at, &to);
            let read = key.read(&changed, &worker("bench-1"), Timestamp(1));
            prop_assert_eq!(read.is_ok(), changed == ticket);
        }
    }
}
