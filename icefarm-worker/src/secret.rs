//! What control has to show at every path of this worker.

use std::fmt;
use std::sync::Arc;

/// A random text that control is given at registration. It is never written to a log.
#[derive(Clone)]
pub(crate) struct Secret(Arc<str>);

impl Secret {
    pub(crate) fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an `Authorization` header shows the secret.
    pub(crate) fn is_shown(&self, header: &str) -> bool {
        let Some((scheme, token)) = header.split_once(' ') else { return false };
        scheme.eq_ignore_ascii_case("bearer") && self.is(token.trim())
    }

    /// Whether this is the secret. How long it takes tells nothing of it.
    pub(crate) fn is(&self, shown: &str) -> bool {
        icefarm_net::Secret::new(&self.0).is(shown)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_is_enough() {
        let secret = Secret::new("s3cret");
        for shown in ["Bearer s3cret", "bearer s3cret"] {
            assert!(secret.is_shown(shown), "{shown}");
        }
        for other in
            ["s3cret", "Basic s3cret", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret0"]
        {
            assert!(!secret.is_shown(other), "{other}");
        }
        assert!(!Secret::new("").is_shown("Bearer x"));
    }

    #[test]
    fn a_secret_does_not_show_up_in_logs() {
        assert_eq!(format!("{:?}", Secret::new("s3cret")), "Secret(..)");
    }
}
