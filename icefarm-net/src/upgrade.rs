//! The way from HTTP to a websocket.

use warp::reject::Reject;

/// The request asks for no websocket. Another route of the path may take it.
#[derive(Debug)]
pub(crate) struct NotAnUpgrade;

impl Reject for NotAnUpgrade {}
