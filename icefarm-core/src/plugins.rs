//! Which crates were linked in, and where in them something was registered.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// A linked crate that registers something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PluginInfo {
    /// The crate's name as in its manifest.
    pub name: Cow<'static, str>,
    /// The crate's version.
    pub version: Cow<'static, str>,
}

impl PluginInfo {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str, version: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), version: Cow::Borrowed(version) }
    }
}

impl fmt::Display for PluginInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// One entry for each block under one of the attributes and each [`plugin!`](crate::plugin), in no
/// order. [`plugins`] is the list to show.
#[linkme::distributed_slice]
pub static PLUGINS: [PluginInfo];

/// Puts the crate that says it onto the list of linked plug-ins.
///
/// The attributes do this for every crate that has a state or a handler; a crate that brings
/// something else, such as a model of a firmware, says it once, outside of all functions. So does
/// whatever reads the list: some linkers cannot take an empty one.
///
/// ```
/// icefarm_core::plugin!();
///
/// fn main() {
///     assert!(icefarm_core::plugins().iter().any(|plugin| plugin.name == env!("CARGO_PKG_NAME")));
/// }
/// ```
#[macro_export]
macro_rules! plugin {
    () => {
        const _: () = {
            #[$crate::__private::linkme::distributed_slice($crate::__private::PLUGINS)]
            #[linkme(crate = $crate::__private::linkme)]
            static PLUGIN: $crate::PluginInfo = $crate::PluginInfo::new(
                ::core::env!("CARGO_PKG_NAME"),
                ::core::env!("CARGO_PKG_VERSION"),
            );
        };
    };
}

/// The linked crates that are on the list, each once and sorted.
#[must_use]
pub fn plugins() -> Vec<PluginInfo> {
    PLUGINS.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Where in the source something was registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    file: &'static str,
    line: u32,
    name: &'static str,
    version: &'static str,
}

impl Place {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(
        name: &'static str,
        version: &'static str,
        file: &'static str,
        line: u32,
    ) -> Self {
        Self { file, line, name, version }
    }

    /// The crate that it is in.
    #[must_use]
    pub const fn plugin(&self) -> PluginInfo {
        PluginInfo::new(self.name, self.version)
    }
}

/// `src/lib.rs:14 (my-states 0.1.0)`
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ({} {})", self.file, self.line, self.name, self.version)
    }
}
