//! What can be set about a control server.

use crate::machine::Rules;
use icefarm_net::{BodyLimits, HubConfig, ServeOptions};
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
            body: BodyLimits::default().bytes(4 << 20),
            serve: ServeOptions::default(),
            sockets,
        }
    }
}
