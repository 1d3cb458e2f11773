//! `#[reservable]`: a state's `impl` block, in which the constructor is.

use crate::block;
use crate::faults::{Faults, refuse};
use crate::names::{Names, core_or_default};
use crate::params::{check, decoding, local, shown_at, typed};
use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned as _;
use syn::{Error, Ident, ImplItem, Item, ItemImpl, Path, Signature};

pub(crate) fn expand(attr: TokenStream, item: TokenStream) -> TokenStream {
    let names = match syn::parse2::<Names>(attr) {
        Ok(names) => names,
        Err(error) => return misspelt(&item, error),
    };
    let misplaced = match syn::parse2::<Item>(item.clone()) {
        Ok(Item::Impl(impl_block)) => return expand_block(names, impl_block),
        Ok(Item::Struct(item)) => on_a_type(&names, &item.ident),
        Ok(Item::Enum(item)) => on_a_type(&names, &item.ident),
        _ => Error::new_spanned(&item, "`#[reservable]` goes above the `impl` block of a state"),
    };
    refuse(&item, &misplaced)
}

/// The methods are looked at all the same, or each would say that its block is not registered.
fn misspelt(item: &TokenStream, error: Error) -> TokenStream {
    match syn::parse2::<ItemImpl>(item.clone()) {
        Ok(impl_block) => {
            let mut faults = Faults::default();
            faults.push(error);
            block::expand(impl_block, &core_or_default(None), faults, Some(TokenStream::new()))
        }
        Err(_) => refuse(item, &error),
    }
}

/// The types of the arguments, and which of them are optional, are in the constructor's signature.
fn on_a_type(names: &Names, ident: &Ident) -> Error {
    let attribute: String = names.keys.iter().map(|key| format!(", \"{}\"", key.value())).collect();
    let params: String = names.keys.iter().map(|key| format!(", {}: ..", key.value())).collect();
    let message = format!(
        "`#[reservable]` goes above the `impl` block that has the constructor:\n\n    \
         #[reservable(\"{}\"{attribute})]\n    \
         impl {ident} {{\n        \
         fn new(device: Device{params}) -> Self {{ .. }}\n    \
         }}\n",
        names.name.value(),
    );
    Error::new_spanned(ident, message)
}

fn expand_block(names: Names, impl_block: ItemImpl) -> TokenStream {
    let mut faults = Faults::default();
    let core = core_or_default(names.core.clone());
    let constructor = impl_block.items.iter().find_map(|item| match item {
        ImplItem::Fn(function) if function.sig.ident == "new" => Some(&function.sig),
        _ => None,
    });
    let reservable = match constructor {
        Some(sig) => entry(&names, sig, &impl_block, &core, &mut faults),
        None => {
            faults.at(
                &impl_block.self_ty,
                "`#[reservable]` needs the constructor in this block: `fn new(device: Device, ..) -> Self`",
            );
            TokenStream::new()
        }
    };
    block::expand(impl_block, &core, faults, Some(reservable))
}

/// The `Reservable` of a constructor, or its faults.
fn entry(
    names: &Names,
    sig: &Signature,
    impl_block: &ItemImpl,
    core: &Path,
    faults: &mut Faults,
) -> TokenStream {
    if let Some(receiver) = sig.receiver() {
        faults
            .at(receiver, "the constructor takes no `self`: `fn new(device: Device, ..) -> Self`");
    }
    if let Some(token) = &sig.asyncness {
        faults
            .at(token, "the constructor cannot be async: what takes time goes into `State::start`");
    }
    let params: Vec<_> = typed(&sig.inputs).collect();
    let Some((device_param, params)) = params.split_first() else {
        faults
            .at(&sig.ident, "the constructor takes the device first: `fn new(device: Device, ..)`");
        return TokenStream::new();
    };
    check(names, "reservable", sig, params, faults);

    let (kind, self_ty) = (&names.name, &impl_block.self_ty);
    let decoding = decoding(core, &names.keys, params);
    let (specs, args, statements, values) =
        (&decoding.specs, &decoding.args, &decoding.statements, &decoding.values);
    let device = local("device");
    let state = local("state");
    let given = shown_at(&device, device_param.ty.span());
    // A type that is no state is shown where it is named.
    let made = shown_at(&state, self_ty.span());
    quote! {
        #core::Reservable::new(#kind, #specs, {
            fn build(
                #device: #core::Device,
                #args: #core::Args,
            ) -> ::core::result::Result<
                ::std::boxed::Box<dyn #core::DynState>,
                #core::BuildError,
            > {
                #statements
                let #state = <#self_ty>::new(#given #(, #values)*);
                #core::IntoState::into_state(#made)
            }
            build
        })
    }
}
