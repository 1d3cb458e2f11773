//! TLS by rustls, with the cryptography of ring.

use crate::endpoint::Endpoint;
use crate::transport::{BoxIo, Connector, Listener, TcpConnector};
use futures::future::BoxFuture;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{
    self, AlertDescription, CertificateError, ClientConfig, RootCertStore, ServerConfig,
};

/// How long a client may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Why a certificate, a key or a CA cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The file cannot be read, or what stands in it is not what it should be.
    #[error("{} cannot be used as a {what} (PEM): {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// Certificate and key do not belong together, or are of a sort that is not supported.
    #[error("the certificate and its key cannot be used: {0}")]
    Pair(String),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certificates(path: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |reason: String| TlsError::File { path: path.to_owned(), what, reason };
    let read = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    let all: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| wrong(error.to_string()))?;
    if all.is_empty() {
        return Err(wrong("there is no certificate in it".to_owned()));
    }
    Ok(all)
}

/// The certificate of a server, and its key.
#[derive(Clone)]
pub struct TlsIdentity(TlsAcceptor);

impl TlsIdentity {
    /// Reads them from two files of PEM. The file of the certificate may go on with those of who
    /// signed it.
    ///
    /// # Errors
    /// [`TlsError`] names the file that cannot be used.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = certificates(certificate, "certificate")?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::File {
            path: key.to_owned(),
            what: "private key",
            reason: error.to_string(),
        })?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| TlsError::Pair(error.to_string()))?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsIdentity(..)")
    }
}

/// A listener whose connections are TLS. The handshake is made when the connection is first used,
/// so a slow one holds up nobody else.
#[derive(Debug)]
pub struct TlsListener<L> {
    inner: L,
    identity: TlsIdentity,
}

impl<L: Listener> TlsListener<L> {
    /// Connections of `inner`, under this certificate.
    #[must_use]
    pub fn new(inner: L, identity: TlsIdentity) -> Self {
        Self { inner, identity }
    }
}

impl<L: Listener> Listener for TlsListener<L> {
    type Io = TlsIo;

    async fn accept(&mut self) -> io::Result<(TlsIo, SocketAddr)> {
        let (io, peer) = self.inner.accept().await?;
        let shaking = self.identity.0.accept(io);
        let stream = async move {
            let shaken = tokio::time::timeout(HANDSHAKE, shaking).await;
            let late =
                |_| io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long");
            Ok(Box::new(shaken.map_err(late)??) as BoxIo)
        };
        Ok((TlsIo(State::Shaking(Box::pin(stream))), peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn is_secure(&self) -> bool {
        true
    }
}

/// A server's end of a TLS connection, before and after its handshake.
pub struct TlsIo(State);

enum State {
    Shaking(Pin<Box<dyn Future<Output = io::Result<BoxIo>> + Send>>),
    Open(BoxIo),
    Failed,
}

impl fmt::Debug for TlsIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsIo(..)")
    }
}

impl TlsIo {
    fn open(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Pin<&mut BoxIo>>> {
        if let State::Shaking(shaking) = &mut self.0 {
            self.0 = match ready!(shaking.as_mut().poll(context)) {
                Ok(stream) => State::Open(stream),
                Err(error) => {
                    self.0 = State::Failed;
                    return Poll::Ready(Err(error));
                }
            };
        }
        match &mut self.0 {
            State::Open(stream) => Poll::Ready(Ok(Pin::new(stream))),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncRead for TlsIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.open(context))?.poll_read(context, buffer)
    }
}

impl AsyncWrite for TlsIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.open(context))?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.open(context))?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            State::Open(stream) => Pin::new(stream).poll_shutdown(context),
            // Nothing was said on it yet.
            _ => Poll::Ready(Ok(())),
        }
    }
}

/// Connects to `https://` servers whose certificate a given CA has signed, and to `http://` ones
/// as they are.
#[derive(Clone)]
pub struct TlsConnector {
    inner: Arc<dyn Connector>,
    connector: tokio_rustls::TlsConnector,
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConnector(..)")
    }
}

impl TlsConnector {
    /// Trusts the certificates in a file of PEM, over TCP: the CA of a farm, or all that a system
    /// trusts, as in `/etc/ssl/certs/ca-certificates.crt`.
    ///
    /// # Errors
    /// [`TlsError`] if the file cannot be used.
    pub fn trusting(ca: &Path) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(ca, "CA certificate")? {
            // A system's file has certificates of all sorts. One that is not understood is not
            // trusted.
            if let Err(error) = roots.add(certificate) {
                tracing::debug!(path = %ca.display(), %error, "a certificate is passed over");
            }
        }
        if roots.is_empty() {
            let reason = "none of its certificates can be a CA".to_owned();
            return Err(TlsError::File { path: ca.to_owned(), what: "CA certificate", reason });
        }
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Pair(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        Ok(Self { inner: Arc::new(TcpConnector), connector })
    }

    /// The same over another network.
    #[must_use]
    pub fn over(mut self, inner: Arc<dyn Connector>) -> Self {
        self.inner = inner;
        self
    }
}

impl Connector for TlsConnector {
    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            if !endpoint.is_secure() {
                return self.inner.connect(endpoint).await;
            }
            let plain = endpoint.unsecured();
            let io = self.inner.connect(&plain).await?;
            let name = ServerName::try_from(endpoint.host().to_owned())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            let stream = self.connector.connect(name, io).await;
            stream.map(|io| Box::new(io) as BoxIo).map_err(|error| explain(endpoint, error))
        })
    }
}

/// What somebody can do about a handshake that failed.
fn explain(endpoint: &Endpoint, error: io::Error) -> io::Error {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    let host = endpoint.host();
    let advice = match cause {
        Some(rustls::Error::InvalidCertificate(wrong)) => match wrong {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "the CA file that this program trusts did not sign its certificate: give the \
                 farm's own, --ca FILE or ICEFARM_CA"
                    .to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!(
                    "its certificate is not for `{host}`: use a name or address that stands in it, \
                     or make one with this name (`icefarm init --tls {host}`)"
                )
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate is out of date: its operator must make a new one".to_owned()
            }
            other => format!("its certificate is not valid: {other:?}"),
        },
        Some(rustls::Error::InvalidMessage(_)) => {
            "it does not speak TLS: its address begins with http://".to_owned()
        }
        Some(rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)) => {
            "it speaks no version of TLS that this program speaks".to_owned()
        }
        _ => return error,
    };
    io::Error::new(error.kind(), advice)
}
