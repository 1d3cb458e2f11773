//! A registered `impl` block: its methods gathered, the block given back.

use crate::faults::Faults;
use crate::method;
use crate::names::{Names, check_command};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Attribute, Error, ImplItem, ImplItemFn, ItemImpl, LitStr, Path, parse_quote};

/// What replaces the names of a method's attribute. The attribute itself stays: without it the
/// user's `use icefarm_core::register` would be an unused import.
pub(crate) const SEEN: &str = "__seen";

/// The block, and its registration if there is no fault in it. `reservable` is the expression for
/// its constructor.
pub(crate) fn expand(
    mut block: ItemImpl,
    core: &Path,
    mut faults: Faults,
    reservable: Option<TokenStream>,
) -> TokenStream {
    check(&block, &mut faults);
    let methods = gather(&mut block, core, reservable.is_some(), &mut faults);
    if methods.is_empty() && reservable.is_none() && faults.is_empty() {
        faults.at(
            &block.self_ty,
            "no method in this block is registered: `#[register(\"event\", ..)]` goes above it",
        );
    }
    if !faults.is_empty() {
        let faults = faults.into_tokens();
        return quote!(#block #faults);
    }
    let self_ty = &block.self_ty;
    let reservable = match reservable {
        Some(reservable) => quote!(::core::option::Option::Some(#reservable)),
        None => quote!(::core::option::Option::None),
    };
    // A block under `#[cfg]` that is not there has nothing to register.
    let cfgs: Vec<_> = block.attrs.iter().filter(|attr| is_cfg(attr)).collect();
    quote! {
        #block

        #(#cfgs)*
        impl #core::Registered for #self_ty {
            const REGISTRATION: &'static #core::Registration = &#core::Registration::of::<#self_ty>(
                #core::Place::new(
                    ::core::env!("CARGO_PKG_NAME"),
                    ::core::env!("CARGO_PKG_VERSION"),
                    ::core::file!(),
                    ::core::line!(),
                ),
                const { &[#(#methods),*] },
                #reservable,
            );
        }

        #(#cfgs)*
        #core::plugin!();

        #(#cfgs)*
        #core::__private::inventory::submit! {
            #core::__private::Linked(<#self_ty as #core::Registered>::REGISTRATION)
        }
    }
}

fn check(block: &ItemImpl, faults: &mut Faults) {
    if !block.generics.params.is_empty() {
        faults.at(
            &block.generics,
            "a registered `impl` block cannot be generic: put the varying part behind a `Box<dyn Trait>` field",
        );
    }
    if let Some((path, _)) = &block.trait_ {
        faults.at(
            path,
            "only an `impl` block of the type itself can be registered, not one of a trait",
        );
    }
}

/// Takes the names off the methods and makes the entries of them. Those of a state are commands,
/// those of a handler events, also of the farm itself.
fn gather(
    block: &mut ItemImpl,
    core: &Path,
    is_state: bool,
    faults: &mut Faults,
) -> Vec<TokenStream> {
    let self_ty = block.self_ty.clone();
    let mut entries = Vec::new();
    let mut seen: Vec<LitStr> = Vec::new();
    for item in &mut block.items {
        let ImplItem::Fn(function) = item else { continue };
        for names in take_names(function, faults) {
            let cfgs: Vec<_> = function.attrs.iter().filter(|attr| is_cfg(attr)).collect();
            // Of methods under conditions at most one may be there. The registry has the last word.
            if cfgs.is_empty() {
                check_unique(&names.name, &mut seen, faults);
            }
            if is_state {
                check_command(&names.name, faults);
            }
            let entry = method::entry(&names, &function.sig, &self_ty, core, faults);
            entries.push(quote!(#(#cfgs)* #entry));
        }
    }
    entries
}

fn check_unique(name: &LitStr, seen: &mut Vec<LitStr>, faults: &mut Faults) {
    if let Some(first) = seen.iter().find(|first| first.value() == name.value()) {
        faults.at(name, format!("`{}` is registered twice in this block", name.value()));
        faults.at(first, "first registered here");
    }
    seen.push(name.clone());
}

/// The names of all of our attributes on a method, each replaced by a mark.
fn take_names(function: &mut ImplItemFn, faults: &mut Faults) -> Vec<Names> {
    let mut all = Vec::new();
    for attr in &mut function.attrs {
        if attr.path().segments.last().is_none_or(|segment| segment.ident != "register") {
            continue;
        }
        match attr.parse_args::<Names>() {
            Ok(Names { core: Some(path), .. }) => {
                faults.at(path, "`crate = ..` goes into the attribute above the block");
            }
            Ok(names) => all.push(names),
            Err(error) => faults.push(pointed_at(attr, error)),
        }
        let (path, mark) = (attr.path(), Ident::new(SEEN, Span::call_site()));
        *attr = parse_quote!(#[#path(#mark)]);
    }
    all
}

/// A bare `#[register]` has no arguments to point at.
fn pointed_at(attr: &Attribute, error: Error) -> Error {
    match &attr.meta {
        syn::Meta::Path(path) => Error::new_spanned(
            path.to_token_stream(),
            "above a method `#[register]` takes the name of the command or event: #[register(\"event\", \"key\", ..)]",
        ),
        _ => error,
    }
}

fn is_cfg(attr: &Attribute) -> bool {
    attr.path().is_ident("cfg")
}
