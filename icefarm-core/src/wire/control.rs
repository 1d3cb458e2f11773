//! Between clients and the control server.

use crate::{
    ArgError, Args, ClientName, InstanceId, Kind, LeaseId, Object, RequestId, ReservationId, Serial,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The media type by which a client asks for [`ReservationAnswer`] instead of the plain map.
pub const V1_JSON: &str = "application/vnd.icefarm.v1+json";

/// Which boards a reservation wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// So many, any that offer the kind.
    Amount(u32),
    /// Exactly these.
    Serials(Vec<Serial>),
}

/// The body of `/reserve` and `/reserveserials`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReserveRequest {
    /// Key `amount` of `/reserve`, key `serials` of `/reserveserials`.
    #[serde(flatten)]
    pub selection: Selection,
    /// Who reserves.
    pub name: ClientName,
    /// What the boards shall do.
    pub kind: Kind,
    /// The arguments of the kind; absent is the same as empty.
    #[serde(default)]
    pub args: Object,
    /// Makes the request repeatable: the same `request` gets the same answer.
    #[serde(default)]
    pub request: Option<RequestId>,
    /// The process that reserves, which is the only one that may end the leases.
    #[serde(default)]
    pub instance: Option<InstanceId>,
    /// How long the leases last, in seconds, unless they are extended. 3600 if absent.
    #[serde(default)]
    pub ttl_s: Option<u32>,
    /// Whether simulated boards are wanted: `true` only these, `false` none of them; absent takes
    /// real boards, and simulated ones only in a farm that has no real board.
    #[serde(default)]
    pub simulated: Option<bool>,
    /// Labels that every board must have.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// For how long the request may wait for boards, in seconds. Absent and 0: not at all.
    #[serde(default)]
    pub wait_s: Option<u32>,
    /// Of those who wait, higher ones are served first. 0 if absent.
    #[serde(default)]
    pub priority: Option<i32>,
}

impl ReserveRequest {
    /// Reads the body of `/reserve`.
    ///
    /// # Errors
    /// [`ArgError`] names the key that is missing or wrong.
    pub fn by_amount(mut args: Args) -> Result<Self, ArgError> {
        let selection = Selection::Amount(args.take("amount")?);
        Self::rest(selection, args)
    }

    /// Reads the body of `/reserveserials`.
    ///
    /// # Errors
    /// [`ArgError`] names the key that is missing or wrong.
    pub fn by_serials(mut args: Args) -> Result<Self, ArgError> {
        let selection = Selection::Serials(args.take("serials")?);
        Self::rest(selection, args)
    }

    fn rest(selection: Selection, mut args: Args) -> Result<Self, ArgError> {
        Ok(Self {
            selection,
            name: args.take("name")?,
            kind: args.take("kind")?,
            args: args.take::<Option<Object>>("args")?.unwrap_or_default(),
            request: args.take("request")?,
            instance: args.take("instance")?,
            ttl_s: args.take("ttl_s")?,
            simulated: args.take("simulated")?,
            labels: args.take::<Option<_>>("labels")?.unwrap_or_default(),
            wait_s: args.take("wait_s")?,
            priority: args.take("priority")?,
        })
    }
}

/// The body of `/extend` and `/end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedSerials {
    /// Who holds the leases.
    pub name: ClientName,
    /// The boards.
    pub serials: Vec<Serial>,
    /// The process that asks, if it says.
    pub instance: Option<InstanceId>,
}

impl NamedSerials {
    /// Reads the body.
    ///
    /// # Errors
    /// [`ArgError`] names the key that is missing or wrong.
    pub fn read(mut args: Args) -> Result<Self, ArgError> {
        Ok(Self {
            name: args.take("name")?,
            serials: args.take("serials")?,
            instance: args.take("instance")?,
        })
    }
}

/// The body of `/extendall` and `/endall`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Who holds the leases.
    pub name: ClientName,
    /// The process that asks, if it says.
    pub instance: Option<InstanceId>,
}

impl Named {
    /// Reads the body.
    ///
    /// # Errors
    /// [`ArgError`] names the key that is missing or wrong.
    pub fn read(mut args: Args) -> Result<Self, ArgError> {
        Ok(Self { name: args.take("name")?, instance: args.take("instance")? })
    }
}

/// The body of `/reboot` and `/delete`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serials {
    /// The boards.
    pub serials: Vec<Serial>,
}

impl Serials {
    /// Reads the body.
    ///
    /// # Errors
    /// [`ArgError`] names the key that is missing or wrong.
    pub fn read(mut args: Args) -> Result<Self, ArgError> {
        Ok(Self { serials: args.take("serials")? })
    }
}

/// The full answer of `/reserve` and `/reserveserials`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationAnswer {
    /// What the boards share.
    pub reservation: ReservationId,
    /// The boards, each with a lease of its own.
    pub boards: Vec<GrantedBoard>,
}

impl ReservationAnswer {
    /// The seed's answer: serial to worker address.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<Serial, String> {
        self.boards.iter().map(|board| (board.serial.clone(), board.url.clone())).collect()
    }
}

/// One board of a reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedBoard {
    /// The board.
    pub serial: Serial,
    /// Where its worker listens, `http://HOST:PORT`.
    pub url: String,
    /// The lease, which is the fencing token.
    pub lease: LeaseId,
    /// How long the lease lasts from now on, in milliseconds, unless it is extended.
    pub expires_in_ms: u64,
    /// The name that the operator gave the board, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// One row of the answer that the Python clients read. Version 0.1.15 takes `ip` and
/// `serverport`, 0.1.16 takes `url`; both ignore the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PythonRow {
    /// The board.
    pub serial: Serial,
    /// Where its worker listens.
    pub url: String,
    /// The host of `url`.
    pub ip: String,
    /// The port of `url`.
    pub serverport: u16,
}
