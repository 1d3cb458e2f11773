//! Who may use this farm: tokens, sessions of the panel, and the gate that every request passes.

mod gate;
mod sessions;
mod tokens;

pub(crate) use gate::{Gate, GatePaces, Identity, SESSION_COOKIE};
pub(crate) use sessions::{LASTS, Sessions};
pub(crate) use tokens::Tokens;

use crate::store::KeptToken;
use icefarm_core::wire::{CreateToken, Role, TokenDetail};
use icefarm_core::{Timestamp, TokenId};
use icefarm_net::Token;
use std::time::Duration;

/// The longest label of a token, in bytes.
const LABEL: usize = 128;

/// Why a token cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenRefusal {
    /// It would be good for nothing.
    #[error("a token for a {role} needs the names that it may use, such as `alice-*`, or `*`")]
    NoNames {
        /// The role.
        role: Role,
    },
    /// The label is too long, or would garble logs.
    #[error("the label has at most {LABEL} bytes, and no control characters")]
    Label,
    /// It would be over at once.
    #[error("the token would be over at once")]
    NoTime,
    /// Its end has no text.
    #[error(
        "the token would end after the year 9999; for one that does not end say nothing of its end"
    )]
    TooLong,
}

/// Makes a token. `ids` makes texts that nobody can guess, such as random UUIDs; only what comes
/// second is ever kept.
///
/// ```
/// use icefarm_control::make_token;
/// use icefarm_core::Timestamp;
/// use icefarm_core::wire::{CreateToken, Role};
///
/// let ids = || uuid::Uuid::new_v4().to_string();
/// let wanted = CreateToken {
///     role: Role::Client, names: vec!["alice-*".parse().unwrap()], label: None, expires_in_s: None,
/// };
/// let (token, kept) = make_token(wanted, Timestamp(0), &ids).unwrap();
/// assert!(kept.digest == token.digest() && kept.detail.label == "client");
/// ```
///
/// # Errors
/// [`TokenRefusal`].
pub fn make_token(
    wanted: CreateToken,
    now: Timestamp,
    ids: &dyn Fn() -> String,
) -> Result<(Token, KeptToken), TokenRefusal> {
    let CreateToken { role, names, label, expires_in_s } = wanted;
    if names.is_empty() && role != Role::Operator {
        return Err(TokenRefusal::NoNames { role });
    }
    let label = label.unwrap_or_else(|| role.to_string());
    if label.len() > LABEL || label.chars().any(char::is_control) {
        return Err(TokenRefusal::Label);
    }
    if expires_in_s == Some(0) {
        return Err(TokenRefusal::NoTime);
    }
    let expires = expires_in_s.map(|seconds| now.after(Duration::from_secs(seconds)));
    if expires.is_some_and(|end| end > Timestamp::LAST) {
        return Err(TokenRefusal::TooLong);
    }
    // A random UUID has 122 bits of chance.
    let chance = [ids(), ids(), ids()];
    let token = Token::of_chance(chance.iter().map(String::as_str));
    let digest = token.digest();
    // It names the token and tells nothing of it: so many bits of a digest are of no use.
    let id: String = digest.to_string().chars().take(12).collect();
    let detail = TokenDetail {
        id: TokenId::from(id),
        label,
        role,
        names,
        created: now,
        expires,
        revoked: None,
    };
    Ok((token, KeptToken { detail, digest }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_ends_when_that_can_be_said() {
        let now = Timestamp(1_795_374_502_134);
        let made = |expires_in_s| {
            let role = Role::Operator;
            let wanted = CreateToken { role, names: vec![], label: None, expires_in_s };
            make_token(wanted, now, &|| "chance".to_owned()).map(|(_, kept)| kept.detail.expires)
        };
        assert_eq!(made(None), Ok(None));
        assert_eq!(made(Some(60)), Ok(Some(now.after(Duration::from_secs(60)))));
        assert_eq!(made(Some(0)), Err(TokenRefusal::NoTime));
        for long in [3_000_000 * 24 * 3600, u64::MAX] {
            assert_eq!(made(Some(long)), Err(TokenRefusal::TooLong), "{long}");
        }
    }
}
