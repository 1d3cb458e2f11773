//! The attributes `#[reservable]` and `#[register]`.
//!
//! Use them from `icefarm-core`, which re-exports them and documents them there. What they stand
//! above is found by a registry, with nothing else to be said:
//!
//! ```
//! use icefarm_core::{Device, State, register, reservable};
//!
//! struct Thermometer(Device);
//!
//! #[reservable("thermometer", "unit")]
//! impl Thermometer {
//!     fn new(device: Device, unit: Option<String>) -> Self {
//!         drop(unit);
//!         Self(device)
//!     }
//!
//!     #[register("read", "samples")]
//!     async fn read(&mut self, samples: u32) -> String {
//!         format!("{samples} samples of {}", self.0.serial())
//!     }
//! }
//!
//! impl State for Thermometer {}
//!
//! let registry = icefarm_core::Registry::collect().unwrap();
//! let kind = &registry.kind_infos()[0];
//! assert_eq!((kind.kind.as_str(), kind.args[0].key.as_ref()), ("thermometer", "unit"));
//! ```
#![deny(missing_docs)]

mod block;
mod constructor;
mod faults;
mod method;
mod names;
mod params;

use proc_macro::TokenStream;

/// See `icefarm_core::reservable`.
#[proc_macro_attribute]
pub fn reservable(attr: TokenStream, item: TokenStream) -> TokenStream {
    constructor::expand(attr.into(), item.into()).into()
}

/// See `icefarm_core::register`.
#[proc_macro_attribute]
pub fn register(attr: TokenStream, item: TokenStream) -> TokenStream {
    method::expand(attr.into(), item.into()).into()
}
