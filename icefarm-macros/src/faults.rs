//! Everything that is wrong with a block, told at once.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use std::fmt::Display;
use syn::Error;

/// The faults found so far. A block with faults stays as the user wrote it and registers nothing,
/// so that one fault does not cause messages about others.
#[derive(Default)]
pub(crate) struct Faults(Vec<Error>);

impl Faults {
    /// A fault shown under all of `tokens`.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.0.push(Error::new_spanned(tokens, message));
    }

    pub(crate) fn push(&mut self, error: Error) {
        self.0.push(error);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The messages as the compiler takes them.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.0.into_iter().map(Error::into_compile_error).collect()
    }
}

/// The item as it was, and one fault.
pub(crate) fn refuse(item: &TokenStream, fault: &Error) -> TokenStream {
    let fault = fault.to_compile_error();
    quote::quote!(#item #fault)
}

/// At the user's tokens, but known as generated: the compiler then offers no edits of code that
/// nobody can see, and its lints leave it alone.
pub(crate) fn generated_at(span: Span) -> Span {
    span.resolved_at(Span::call_site())
}
