//! The attributes `#[reservable]` and `#[register]`.
//!
//! Use them from `icefarm-core`, which re-exports them and documents them there, with examples.
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
