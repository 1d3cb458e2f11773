//! Secrets that are shown to servers: access tokens, and texts that two servers share.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// What every token begins with, so that people and scanners of leaked secrets know one.
const PREFIX: &str = "icefarm_";
/// Characters of 32 bytes in base64 without padding.
const LENGTH: usize = 43;

/// An access token: 256 bits that nobody can guess, as text. It never shows up in logs.
///
/// ```
/// use icefarm_net::Token;
///
/// let token = Token::of_chance(["a text", "and another", "that nobody can guess"]);
/// assert!(token.as_str().starts_with("icefarm_"));
/// let again: Token = token.as_str().parse().unwrap();
/// assert_eq!(again.digest(), token.digest());
/// ```
#[derive(Clone)]
pub struct Token(Box<str>);

/// Why a text is no access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no access token: one begins with `{PREFIX}` and has {} characters", PREFIX.len() + LENGTH)]
pub struct TokenError;

impl Token {
    /// Makes a token of texts that together hold at least 256 bits of chance, such as three random
    /// UUIDs. The same texts make the same token, so that simulations replay.
    #[must_use]
    pub fn of_chance<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"icefarm token 1");
        for text in texts {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text);
        }
        Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(hasher.finalize())).into())
    }

    /// The token itself, to be shown to a server and to nobody else.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What servers keep of a token: nobody gets from there to the token.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl std::str::FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let bits = text.strip_prefix(PREFIX).filter(|bits| bits.len() == LENGTH);
        let bytes = bits.and_then(|bits| URL_SAFE_NO_PAD.decode(bits).ok());
        bytes.filter(|bytes| bytes.len() == 32).map(|_| Self(text.into())).ok_or(TokenError)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The SHA-256 of a token. Finding one among others by comparison tells an attacker nothing: who
/// could choose a digest could not find the token to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenDigest([u8; 32]);

impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(..)")
    }
}

/// A text that is no digest of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no SHA-256 in hexadecimal")]
pub struct DigestError;

impl std::str::FromStr for TokenDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let mut digest = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(DigestError);
        }
        for (index, byte) in digest.iter_mut().enumerate() {
            let digits = text.get(2 * index..2 * index + 2).ok_or(DigestError)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| DigestError)?;
        }
        Ok(Self(digest))
    }
}

/// A text that two sides share. It is compared in a time that says nothing about where another
/// one differs, and never shows up in logs.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Remembers a text, by its SHA-256.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Whether this is the text.
    #[must_use]
    pub fn is(&self, shown: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown.as_bytes()).into();
        // The digests cannot be steered, and all of them is looked at anyway.
        let differs = self.0.iter().zip(shown).fold(0, |all, (own, shown)| all | (own ^ shown));
        std::hint::black_box(differs) == 0
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
    use proptest::prelude::*;

    #[test]
    fn tokens_differ_with_what_they_are_made_of() {
        let token = |texts: &[&str]| Token::of_chance(texts.iter().copied()).as_str().to_owned();
        assert_eq!(token(&["a", "b"]), token(&["a", "b"]));
        assert_ne!(token(&["a", "b"]), token(&["ab", ""]));
        assert_ne!(token(&["a", "b"]), token(&["b", "a"]));
    }

    #[test]
    fn secrets_do_not_show_up_in_logs() {
        let token = Token::of_chance(["x"]);
        let shown = format!("{token:?} {:?} {:?}", token.digest(), Secret::new("geheim"));
        assert_eq!(shown, "Token(..) TokenDigest(..) Secret(..)");
        assert!(Secret::new("geheim").is("geheim"));
        for other in ["", "gehei", "geheim ", "Geheim"] {
            assert!(!Secret::new("geheim").is(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_token_or_none(text in "(icefarm_)?[a-zA-Z0-9_=-]{0,50}|.{0,60}") {
            if let Ok(token) = text.parse::<Token>() {
                prop_assert_eq!(token.as_str(), text.as_str());
                prop_assert_eq!(text.len(), 51);
            }
        }

        #[test]
        fn a_changed_token_is_another_or_none(seed in ".{0,20}", at in 0..51usize, to in "[a-zA-Z0-9_-]") {
            let token = Token::of_chance([seed.as_str()]);
            let mut text = token.as_str().to_owned();
            text.replace_range(at..=at, &to);
            if let Ok(other) = text.parse::<Token>() {
                prop_assert_eq!(other.digest() == token.digest(), text == token.as_str());
            }
        }

        #[test]
        fn digests_come_back_from_their_text(seed in ".{0,20}") {
            let digest = Token::of_chance([seed.as_str()]).digest();
            prop_assert_eq!(digest.to_string().parse(), Ok(digest));
        }

        #[test]
        fn any_text_is_a_digest_or_none(text in ".{0,70}|[0-9a-f+]{64}") {
            let _ = text.parse::<TokenDigest>();
        }
    }
}
