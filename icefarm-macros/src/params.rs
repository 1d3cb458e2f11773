//! Parameters and the keys that they are decoded from, in pairs.

use crate::faults::{Faults, generated_at};
use crate::names::Names;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{FnArg, LitStr, Pat, PatType, Path, Safety, Signature, Token, Type};

/// The parameters of a function except `self`.
pub(crate) fn typed(inputs: &Punctuated<FnArg, Token![,]>) -> impl Iterator<Item = &PatType> {
    inputs.iter().filter_map(|input| match input {
        FnArg::Typed(param) => Some(param),
        FnArg::Receiver(_) => None,
    })
}

/// Checks what commands and constructors have in common. `attribute` is how the user wrote it.
pub(crate) fn check(
    names: &Names,
    attribute: &str,
    sig: &Signature,
    params: &[&PatType],
    faults: &mut Faults,
) {
    names.check(faults);
    let (function, name) = (&sig.ident, names.name.value());
    if !sig.generics.params.is_empty() {
        faults.at(
            &sig.generics,
            format!("`{function}` cannot be generic: its arguments are decoded"),
        );
    }
    if let Safety::Unsafe(token) = &sig.safety {
        faults.at(token, format!("`{function}` cannot be unsafe: clients call it"));
    }
    for param in params {
        if let Some(cfg) = param.attrs.iter().find(|attr| attr.path().is_ident("cfg")) {
            faults.at(cfg, "a parameter cannot be conditional: the keys are not");
        }
        match &*param.ty {
            Type::Reference(reference) => faults.at(
                reference,
                "arguments are decoded and must be owned: `String` for `&str`, `Vec<T>` for `&[T]`, `Blob` for a file",
            ),
            Type::ImplTrait(anything) => {
                faults.at(anything, "arguments are decoded: name the type that this shall be");
            }
            _ => {}
        }
    }
    for param in params.iter().skip(names.keys.len()) {
        let key = suggested_key(param);
        faults.at(
            param,
            format!(
                "no key is given for this parameter: #[{attribute}(\"{name}\", .., \"{key}\")]"
            ),
        );
    }
    for key in names.keys.iter().skip(params.len()) {
        faults.at(key, format!("`{function}` has no parameter for the key \"{}\"", key.value()));
    }
}

fn suggested_key(param: &PatType) -> String {
    match &*param.pat {
        Pat::Ident(pat) => pat.ident.to_string().trim_start_matches('_').to_owned(),
        _ => "key".to_owned(),
    }
}

/// The code that takes arguments out of `Args` and hands them on.
pub(crate) struct Decoding {
    /// `&[ArgSpec]`
    pub(crate) specs: TokenStream,
    /// The pattern of the parameter that holds the `Args`.
    pub(crate) args: TokenStream,
    /// The statements that decode.
    pub(crate) statements: TokenStream,
    /// The decoded values.
    pub(crate) values: Vec<Ident>,
}

/// Pairs keys with the types of `params`.
pub(crate) fn decoding(core: &Path, keys: &[LitStr], params: &[&PatType]) -> Decoding {
    let args = local("args");
    let values: Vec<_> = (0..keys.len()).map(|index| local(&format!("arg{index}"))).collect();
    let specs = keys.iter().zip(params).map(|(key, param)| {
        let ty = &param.ty;
        quote! {
            {
                use #core::__private::Required as _;
                #core::ArgSpec::new(#key, <#core::__private::Presence<#ty>>::OPTIONAL)
                    .taking(<#core::__private::Presence<#ty>>::TAKES)
            }
        }
    });
    let statements = values.iter().zip(keys).zip(params).map(|((value, key), param)| {
        let ty = &param.ty;
        // A type that cannot be decoded is shown in the signature.
        let take = quote_spanned!(generated_at(ty.span())=> #args.take::<#ty>(#key));
        quote!(let #value = #take?;)
    });
    Decoding {
        specs: quote!(const { &[#(#specs),*] }),
        statements: quote!(#(#statements)*),
        args: if keys.is_empty() { quote!(_) } else { quote!(mut #args) },
        values,
    }
}

/// A variable that the user's code neither sees nor hides.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The same variable, shown at the user's tokens if it is of a wrong type.
pub(crate) fn shown_at(local: &Ident, span: Span) -> Ident {
    Ident::new(&local.to_string(), span.resolved_at(local.span()))
}
