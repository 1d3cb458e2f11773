//! What can be set about a control server.

use crate::machine::Rules;
use icefarm_net::{BodyLimits, HubConfig, Pace, ServeOptions};
use std::time::Duration;

/// What can be set about a control server. [`Default`] is right for a lab.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ControlConfig {
    /// The times that the farm keeps: how long leases last, when a worker is lost.
    pub rules: Rules,
    /// The pause between two heartbeats of a worker; two that are missed make it unreachable. 5 s
    /// unless changed.
    pub heartbeat: Duration,
    /// How long a worker may take to answer a heartbeat. 5 s unless changed.
    pub heartbeat_timeout: Duration,
    /// How long a worker may take to answer everything else. 10 s unless changed.
    pub worker_timeout: Duration,
    /// How long the tickets last that clients show to workers. This is how long somebody whose
    /// token was revoked can still talk to workers. 15 minutes unless changed.
    pub ticket: Duration,
    /// How often credentials that are not valid may come from one host before it is told to wait.
    /// 20 in a row and then one in 3 s, unless changed.
    pub failures: Pace,
    /// How often requests that change something may come by one token, or from one host of a farm
    /// without tokens. 10,000 in a row and then 1000 in a second, unless changed.
    pub writes: Pace,
    /// How many entries of the audit log are kept. 100,000 unless changed.
    pub audit_kept: u64,
    /// What the body of a request may cost. 4 MiB unless changed.
    pub body: BodyLimits,
    /// The limits of the server: hosts that it goes by, connections.
    pub serve: ServeOptions,
    /// The limits of the websockets and the event streams.
    pub sockets: HubConfig,
}

impl Default for ControlConfig {
    fn default() -> Self {
        let mut sockets = HubConfig::default();
        // Sockets of control only acknowledge; circuits go to workers.
        sockets.max_message = 1 << 20;
        sockets.memory = 64 << 20;
        // Their pongs renew leases of a minute, well before these are warned about.
        sockets.ping = Duration::from_secs(10);
        Self {
            rules: Rules::default(),
            heartbeat: Duration::from_secs(5),
            heartbeat_timeout: Duration::from_secs(5),
            worker_timeout: Duration::from_secs(10),
            ticket: Duration::from_secs(15 * 60),
            failures: Pace { burst: 20, every: Duration::from_secs(3) },
            writes: Pace { burst: 10_000, every: Duration::from_millis(1) },
            audit_kept: 100_000,
            body: BodyLimits::default().bytes(4 << 20),
            serve: ServeOptions::default(),
            sockets,
        }
    }
}
