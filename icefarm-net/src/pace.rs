//! How often somebody may do something, in bounded memory.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// So many keys are remembered at a time.
const KEYS: usize = 4096;

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// So often in a row.
    pub burst: u32,
    /// Then once in so long.
    pub every: Duration,
}

/// Holds each of many to a [`Pace`].
///
/// At most 4096 keys are remembered. One more takes the place of the one that is soonest
/// forgotten anyway.
#[derive(Debug)]
pub struct Paces<K> {
    pace: Pace,
    /// For each key when everything that it did would be done, at the lasting pace.
    due: Mutex<BTreeMap<K, Instant>>,
}

impl<K: Ord + Clone> Paces<K> {
    /// Nobody has done anything yet.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        Self { pace, due: Mutex::default() }
    }

    /// Notes that `key` does it once more.
    ///
    /// # Errors
    /// How long it has to wait. Then it counts as not done.
    pub fn take(&self, key: &K) -> Result<(), Duration> {
        let now = Instant::now();
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let before = due.get(key).copied().unwrap_or(now).max(now);
        let ahead = before - now + self.pace.every;
        let allowed = self.pace.every.saturating_mul(self.pace.burst);
        if ahead > allowed {
            return Err(ahead - allowed);
        }
        if !due.contains_key(key) && due.len() >= KEYS {
            due.retain(|_, due| *due > now);
            if due.len() >= KEYS
                && let Some(soonest) =
                    due.iter().min_by_key(|(_, due)| **due).map(|(key, _)| key.clone())
            {
                due.remove(&soonest);
            }
        }
        due.insert(key.clone(), before + self.pace.every);
        Ok(())
    }
}

/// Whom an address counts as: one host, and for IPv6 the network of one, which has as many
/// addresses as it likes.
#[must_use]
pub fn host_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_is_held_to_the_pace_by_itself() {
        let paces = Paces::new(Pace { burst: 3, every: Duration::from_secs(10) });
        for _ in 0..3 {
            assert_eq!(paces.take(&"a"), Ok(()));
        }
        assert_eq!(paces.take(&"a"), Err(Duration::from_secs(10)));
        assert_eq!(paces.take(&"b"), Ok(()));
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(paces.take(&"a"), Err(Duration::from_secs(6)), "what was refused costs nothing");
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(paces.take(&"a"), Ok(()));
        assert!(paces.take(&"a").is_err());
        tokio::time::advance(Duration::from_secs(60)).await;
        for _ in 0..3 {
            assert_eq!(paces.take(&"a"), Ok(()), "a long rest gives no more than the burst");
        }
        assert!(paces.take(&"a").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_are_remembered() {
        let paces = Paces::new(Pace { burst: 2, every: Duration::from_secs(1) });
        assert!(paces.take(&0).is_ok() && paces.take(&0).is_ok());
        for key in 1..10_000 {
            assert_eq!(paces.take(&key), Ok(()));
        }
        assert!(paces.due.lock().unwrap().len() <= KEYS);
        assert!(paces.take(&0).is_err(), "who did the most is remembered");
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let host = |text: &str| host_of(text.parse().unwrap());
        assert_eq!(host("2001:db8:0:1::5"), host("2001:db8:0:1:ffff::9"));
        assert_ne!(host("2001:db8:0:1::5"), host("2001:db8:0:2::5"));
        assert_eq!(host("::ffff:10.0.0.7"), host("10.0.0.7"));
        assert_ne!(host("10.0.0.7"), host("10.0.0.8"));
    }
}
