//! Whom programs trust, and what they show: the CA of a farm, and access tokens.

use clap::Args;
use icefarm_net::{Connector, TcpConnector, TlsConnector, TlsError, Token};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whose certificates are taken.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TrustArgs {
    /// The certificate (PEM) of the CA that signed those of the farm's servers, for https://;
    /// `icefarm init` makes one. What the system trusts is /etc/ssl/certs/ca-certificates.crt on
    /// Debian.
    #[arg(long, env = "ICEFARM_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

impl TrustArgs {
    /// How servers are reached.
    pub(crate) fn connector(&self) -> Result<Arc<dyn Connector>, TlsError> {
        connector(self.ca.as_deref())
    }
}

/// How servers are reached whose certificates are signed by this CA.
pub(crate) fn connector(ca: Option<&Path>) -> Result<Arc<dyn Connector>, TlsError> {
    Ok(match ca {
        Some(ca) => Arc::new(TlsConnector::trusting(ca)?),
        None => Arc::new(TcpConnector),
    })
}

/// Where an access token comes from. It is no flag itself: everybody on a machine sees the command
/// lines of all programs.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TokenArgs {
    /// A file with the access token of a farm that asks for one. The variable ICEFARM_TOKEN may
    /// hold the token itself; `icefarm login` keeps one for you.
    #[arg(long, env = "ICEFARM_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

/// Why a token cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenFault {
    #[error("the access token in {} cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: icefarm_net::TokenError },
    #[error("the variable ICEFARM_TOKEN: {0}")]
    Variable(icefarm_net::TokenError),
}

impl TokenArgs {
    /// The token that is given, by the file or by the variable.
    pub(crate) fn token(&self) -> Result<Option<Token>, TokenFault> {
        if let Some(path) = &self.token_file {
            return read(path).map(Some);
        }
        match std::env::var("ICEFARM_TOKEN").ok().filter(|text| !text.trim().is_empty()) {
            Some(text) => text.trim().parse().map(Some).map_err(TokenFault::Variable),
            None => Ok(None),
        }
    }
}

fn read(path: &Path) -> Result<Token, TokenFault> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| TokenFault::Read { path: path.to_owned(), source })?;
    text.trim().parse().map_err(|source| TokenFault::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = Token::of_chance(["x"]);
        std::fs::write(&path, format!("{}\n", token.as_str())).unwrap();
        let args = TokenArgs { token_file: Some(path.clone()) };
        assert_eq!(args.token().unwrap().unwrap().as_str(), token.as_str());
        std::fs::write(&path, "nonsense").unwrap();
        let fault = args.token().unwrap_err().to_string();
        assert!(fault.contains("no access token") && !fault.contains("nonsense"), "{fault}");
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(args.token(), Err(TokenFault::Read { .. })));
    }
}
