//! What was linked in, checked once at the start.

use crate::args::{Strictness, check_keys, check_types};
use crate::plugins::Place;
use crate::registration::{Linked, Registered, Registration, Reservable};
use crate::{
    ArgError, ArgSpec, BuildError, CallError, Device, DynState, Kind, NameError, Object, Value,
};
use futures::future::{self, BoxFuture};
use serde::{Deserialize, Serialize};
use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};

/// A kind as a worker tells control of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindInfo {
    /// What clients reserve it by.
    pub kind: Kind,
    /// The crate that has the state.
    #[serde(rename = "crate")]
    pub crate_name: String,
    /// That crate's version.
    #[serde(rename = "version")]
    pub crate_version: String,
    /// The keys of `args`, in the order of the constructor.
    pub args: Vec<ArgSpec>,
}

impl KindInfo {
    /// Checks the keys of a reservation's `args`, and that simple values are of their argument's
    /// type, so that what is wrong is refused before a board is leased. What values mean is the
    /// worker's to check.
    ///
    /// # Errors
    /// [`ArgError::Unknown`], [`ArgError::Missing`] and [`ArgError::Invalid`].
    pub fn check_args(&self, args: &Object) -> Result<(), ArgError> {
        check_keys(args, &self.args, Strictness::Refuse)?;
        check_types(args, &self.args)
    }
}

/// Every state and every handler that this program has.
///
/// [`Registry::collect`] finds what is linked in. A crate is linked in once the program names it:
/// `use my_state as _;` in `main.rs` is enough, a line in `Cargo.toml` alone is not. Where link
/// time registration does not work, or a test wants nothing else around, [`Registry::builder`]
/// takes the types one by one.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    kinds: BTreeMap<Kind, &'static Registration>,
    types: HashMap<TypeId, &'static Registration>,
}

impl Registry {
    /// Gathers what was linked in.
    ///
    /// # Errors
    /// [`RegistryError`] if two plug-ins claim one kind, or two methods of a type one event.
    pub fn collect() -> Result<Self, RegistryError> {
        Self::new(inventory::iter::<Linked>.into_iter().map(|linked| linked.0).collect())
    }

    /// An empty registry to put types into.
    #[must_use]
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder { registrations: Vec::new() }
    }

    fn new(mut registrations: Vec<&'static Registration>) -> Result<Self, RegistryError> {
        // The linker promises no order: errors name the places in a stable one.
        registrations.sort_by_key(|registration| (registration.place(), registration.type_name()));
        let mut registry = Self::default();
        for registration in registrations {
            if registry.types.insert(registration.target(), registration).is_some() {
                // A type has only one block, so this is the same one given twice.
                continue;
            }
            check_events(registration)?;
            let Some(reservable) = registration.reservable() else { continue };
            let place = registration.place();
            let kind = Kind::new(reservable.kind)
                .map_err(|source| RegistryError::InvalidKind { place, source })?;
            if let Some(first) = registry.kinds.insert(kind.clone(), registration) {
                let (first, second) = (first.place(), place);
                return Err(RegistryError::DuplicateKind { kind, first, second });
            }
        }
        Ok(registry)
    }

    /// The kinds that can be reserved, sorted.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.keys()
    }

    /// What a worker tells control of its kinds, sorted.
    #[must_use]
    pub fn kind_infos(&self) -> Vec<KindInfo> {
        self.reservables()
            .map(|(kind, registration, reservable)| {
                let plugin = registration.place().plugin();
                KindInfo {
                    kind: kind.clone(),
                    crate_name: plugin.name.into_owned(),
                    crate_version: plugin.version.into_owned(),
                    args: reservable.args.to_vec(),
                }
            })
            .collect()
    }

    /// Makes sure that a program has the kinds that it cannot do without.
    ///
    /// # Errors
    /// [`RegistryError::NotLinked`] for the first that is not there.
    pub fn require<K: AsRef<str>>(
        &self,
        kinds: impl IntoIterator<Item = K>,
    ) -> Result<(), RegistryError> {
        for kind in kinds {
            if !self.kinds.contains_key(kind.as_ref()) {
                let (kind, linked) = (kind.as_ref().to_owned(), self.known());
                return Err(RegistryError::NotLinked { kind, linked });
            }
        }
        Ok(())
    }

    /// Checks the keys of `args` for a kind without building anything.
    ///
    /// # Errors
    /// [`BuildError::UnknownKind`], or [`BuildError::Args`] if a key is missing or left over.
    pub fn check_args(&self, kind: &str, args: &Object) -> Result<(), BuildError> {
        Ok(check_keys(args, self.reservable(kind)?.args, Strictness::Refuse)?)
    }

    /// Builds the state of a kind.
    ///
    /// # Errors
    /// [`BuildError`] if the kind is not known, if a key of `args` is missing, wrong or left over,
    /// or if the constructor refuses.
    pub fn build(
        &self,
        kind: &str,
        device: Device,
        args: Object,
    ) -> Result<Box<dyn DynState>, BuildError> {
        self.reservable(kind)?.build(device, args)
    }

    /// Calls the command `event` of a state, see [`Registration::call`]. The target is the state
    /// itself: [`DynState::as_any_mut`], not the box around it.
    pub fn call<'t>(
        &self,
        target: &'t mut (dyn Any + Send),
        event: &str,
        args: Object,
    ) -> BoxFuture<'t, Result<Value, CallError>> {
        match self.types.get(&(*target).type_id()) {
            Some(registration) => registration.call(target, event, args),
            None => Box::pin(future::ready(Err(CallError::unknown(event, &[])))),
        }
    }

    fn reservable(&self, kind: &str) -> Result<&'static Reservable, BuildError> {
        self.kinds
            .get(kind)
            .and_then(|registration| registration.reservable())
            .ok_or_else(|| BuildError::UnknownKind { kind: kind.to_owned(), known: self.known() })
    }

    fn reservables(
        &self,
    ) -> impl Iterator<Item = (&Kind, &'static Registration, &'static Reservable)> {
        self.kinds.iter().filter_map(|(kind, registration)| {
            Some((kind, *registration, registration.reservable()?))
        })
    }

    fn known(&self) -> Vec<Kind> {
        self.kinds.keys().cloned().collect()
    }
}

/// The macro finds what is registered twice, except under different `#[cfg]`s.
fn check_events(registration: &'static Registration) -> Result<(), RegistryError> {
    let methods = registration.methods();
    for (index, second) in methods.iter().enumerate() {
        if let Some(first) = methods[..index].iter().find(|first| first.event() == second.event()) {
            return Err(RegistryError::DuplicateEvent {
                event: second.event(),
                target: registration.type_name(),
                first: first.name(),
                second: second.name(),
                place: registration.place(),
            });
        }
    }
    Ok(())
}

/// Takes types one by one.
///
/// ```
/// use icefarm_core::{Device, Registry, State, reservable};
///
/// struct Idle;
///
/// #[reservable("idle")]
/// impl Idle {
///     fn new(_device: Device) -> Self {
///         Self
///     }
/// }
/// impl State for Idle {}
///
/// let registry = Registry::builder().with::<Idle>().build().unwrap();
/// assert!(registry.kinds().map(|kind| kind.as_str()).eq(["idle"]));
/// ```
#[derive(Debug)]
pub struct RegistryBuilder {
    registrations: Vec<&'static Registration>,
}

impl RegistryBuilder {
    /// Adds a state with its commands, or a handler.
    #[must_use]
    pub fn with<T: Registered>(mut self) -> Self {
        self.registrations.push(T::REGISTRATION);
        self
    }

    /// The registry of what was added.
    ///
    /// # Errors
    /// As [`Registry::collect`].
    pub fn build(self) -> Result<Registry, RegistryError> {
        Registry::new(self.registrations)
    }
}

/// Why a program's plug-ins do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Two plug-ins claim one kind.
    #[error("kind `{kind}` is registered twice: {first} and {second}")]
    DuplicateKind {
        /// The kind.
        kind: Kind,
        /// The place that sorts first.
        first: &'static Place,
        /// The other one.
        second: &'static Place,
    },
    /// Two methods of one type answer to the same command or event.
    #[error("`{event}` is registered twice for `{target}`, by `{first}` and `{second}`: {place}")]
    DuplicateEvent {
        /// The command or event.
        event: &'static str,
        /// The type's path.
        target: &'static str,
        /// The method that stands first.
        first: &'static str,
        /// The other one.
        second: &'static str,
        /// The block that they are in.
        place: &'static Place,
    },
    /// A kind is registered under something that is no name.
    #[error("the kind at {place} cannot be one")]
    InvalidKind {
        /// The block.
        place: &'static Place,
        /// What is wrong with it.
        source: NameError,
    },
    /// A kind that the program needs was not linked in.
    #[error(
        "kind `{kind}` is not linked: add `use <the crate that has it> as _;` to main.rs (linked kinds: {})",
        listed(linked)
    )]
    NotLinked {
        /// The kind.
        kind: String,
        /// The kinds that were, sorted.
        linked: Vec<Kind>,
    },
}

fn listed(kinds: &[Kind]) -> String {
    if kinds.is_empty() {
        return "none".to_owned();
    }
    kinds.iter().map(Kind::as_str).collect::<Vec<_>>().join(", ")
}
