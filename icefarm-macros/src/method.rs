//! `#[register]`: above an `impl` block, and above the methods in it.

use crate::block;
use crate::faults::{Faults, generated_at, refuse};
use crate::names::{CorePath, Names, core_or_default};
use crate::params::{check, decoding, local, shown_at, typed};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Error, ImplItemFn, ItemImpl, Path, ReceiverKind, ReturnType, Signature, Type};

pub(crate) fn expand(attr: TokenStream, item: TokenStream) -> TokenStream {
    // The block's attribute has dealt with this method.
    if attr.to_string() == block::SEEN {
        return item;
    }
    if let Ok(impl_block) = syn::parse2::<ItemImpl>(item.clone()) {
        let mut faults = Faults::default();
        let core = syn::parse2::<CorePath>(attr).map(|path| path.0).unwrap_or_else(|error| {
            faults.push(error);
            None
        });
        return block::expand(impl_block, &core_or_default(core), faults, None);
    }
    let fault = match syn::parse2::<ImplItemFn>(item.clone()) {
        Ok(method) => Error::new_spanned(
            &method.sig.ident,
            format!(
                "the `impl` block of `{}` is not registered: add `#[register]` (or `#[reservable(..)]`) above the block",
                method.sig.ident
            ),
        ),
        Err(_) => Error::new_spanned(
            &item,
            "`#[register]` goes above an `impl` block and above the methods in it",
        ),
    };
    refuse(&item, &fault)
}

/// The `Method` of one name of a method, or its faults.
pub(crate) fn entry(
    names: &Names,
    sig: &Signature,
    self_ty: &Type,
    core: &Path,
    faults: &mut Faults,
) -> TokenStream {
    check_receiver(names, sig, faults);
    let params: Vec<_> = typed(&sig.inputs).collect();
    check(names, "register", sig, &params, faults);

    let (event, method) = (&names.name, &sig.ident);
    let method_name = method.to_string();
    let decoding = decoding(core, &names.keys, &params);
    let (specs, args, statements, values) =
        (&decoding.specs, &decoding.args, &decoding.statements, &decoding.values);
    let target = local("target");
    let reply = local("reply");
    let awaited = sig.asyncness.map(|_| quote!(.await));
    let at_output = match &sig.output {
        ReturnType::Default => method.span(),
        ReturnType::Type(_, ty) => ty.span(),
    };
    let returned = shown_at(&reply, at_output);
    // A future that is not `Send` is shown at the method's name.
    let future = quote_spanned! {generated_at(method.span())=>
        ::std::boxed::Box::pin(async move {
            let #target = #core::__private::downcast::<#self_ty>(#target);
            #statements
            let #reply = <#self_ty>::#method(#target #(, #values)*) #awaited;
            #core::Reply::into_reply(#returned)
        })
    };
    quote! {
        #core::Method::new(#event, #method_name, #specs, {
            fn call<'a>(
                #target: &'a mut (dyn ::core::any::Any + ::core::marker::Send),
                #args: #core::Args,
            ) -> #core::__private::BoxFuture<
                'a,
                ::core::result::Result<#core::Value, #core::CallError>,
            > {
                #future
            }
            call
        })
    }
}

fn check_receiver(names: &Names, sig: &Signature, faults: &mut Faults) {
    let method = &sig.ident;
    match sig.receiver() {
        Some(receiver) if matches!(receiver.kind, ReceiverKind::Reference(..)) => {}
        Some(receiver) => faults.at(receiver, "a registered method takes `&mut self` or `&self`"),
        None => faults.at(
            method,
            format!(
                "`{method}` must take `&mut self`: it is called on the state or handler that received `{}`",
                names.name.value()
            ),
        ),
    }
}
