//! `"name", "key", "key", crate = path`: what the attributes take.

use crate::faults::Faults;
use syn::parse::{Parse, ParseStream};
use syn::{LitStr, Path, Result, Token, parse_quote};

/// As for every name in the farm, see `icefarm_core::MAX_NAME_BYTES`.
const MAX_NAME_BYTES: usize = 128;

/// What servers and clients say to each other on the sockets, see
/// `icefarm_core::wire::events::OF_THE_PROTOCOL`.
const OF_THE_PROTOCOL: [&str; 6] = ["ack", "dropped", "error", "hello", "reply", "resync"];

/// The arguments of an attribute.
pub(crate) struct Names {
    /// A kind, a command or an event.
    pub(crate) name: LitStr,
    /// The keys of its arguments, in the order of the parameters.
    pub(crate) keys: Vec<LitStr>,
    /// The path of icefarm-core, where it is said.
    pub(crate) core: Option<Path>,
}

impl Parse for Names {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if !input.peek(LitStr) {
            return Err(
                input.error("expected a name and keys, all in quotes: (\"name\", \"key\", ..)")
            );
        }
        let mut names = Self { name: input.parse()?, keys: Vec::new(), core: None };
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            if input.peek(Token![crate]) {
                names.core = Some(core_path(input)?);
                input.parse::<Option<Token![,]>>()?;
                break;
            }
            names.keys.push(input.parse()?);
        }
        if input.is_empty() { Ok(names) } else { Err(input.error("`crate = ..` comes last")) }
    }
}

impl Names {
    /// Finds names that cannot be names, and keys that are given twice.
    pub(crate) fn check(&self, faults: &mut Faults) {
        let name = self.name.value();
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            faults.at(
                &self.name,
                format!("a name has 1 to {MAX_NAME_BYTES} bytes, none of them a control character"),
            );
        }
        for (index, key) in self.keys.iter().enumerate() {
            if self.keys[..index].iter().any(|other| other.value() == key.value()) {
                faults.at(key, format!("the key \"{}\" is given twice", key.value()));
            }
        }
    }
}

/// Finds a command that would never arrive, because the sockets themselves are spoken to by it.
pub(crate) fn check_command(name: &LitStr, faults: &mut Faults) {
    let word = name.value();
    if OF_THE_PROTOCOL.contains(&word.as_str()) {
        faults.at(
            name,
            format!(
                "`{word}` is a word of the protocol and cannot be a command; give it another name \
                 than these: {}",
                OF_THE_PROTOCOL.join(", ")
            ),
        );
    }
}

/// `crate = path`, alone.
pub(crate) struct CorePath(pub(crate) Option<Path>);

impl Parse for CorePath {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.is_empty() {
            return Ok(Self(None));
        }
        if !input.peek(Token![crate]) {
            return Err(input.error(
                "above an `impl` block `#[register]` takes no names: they go above its methods",
            ));
        }
        let path = core_path(input)?;
        input.parse::<Option<Token![,]>>()?;
        if input.is_empty() { Ok(Self(Some(path))) } else { Err(input.error("unexpected")) }
    }
}

fn core_path(input: ParseStream<'_>) -> Result<Path> {
    input.parse::<Token![crate]>()?;
    input.parse::<Token![=]>()?;
    Path::parse_mod_style(input)
}

/// The path of icefarm-core in the user's crate.
pub(crate) fn core_or_default(core: Option<Path>) -> Path {
    core.unwrap_or_else(|| parse_quote!(::icefarm_core))
}
