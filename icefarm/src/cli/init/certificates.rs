//! A certificate authority of the farm's own, and certificates for its hosts.

use icefarm_core::{Clock, SystemClock};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// How long certificates are good for, in years.
const YEARS: i32 = 10;

#[derive(Debug, thiserror::Error)]
pub(super) enum CertificateFault {
    #[error("--tls {name}: {source}")]
    Name { name: String, source: rcgen::Error },
    #[error("--tls {name}: a name of a host or an address is wanted, without a port")]
    NoHost { name: String },
    #[error("the certificates cannot be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// What is made, all of it in PEM.
pub(super) struct Farm {
    pub(super) ca: String,
    pub(super) ca_key: String,
    /// Name, certificate and key of each host.
    pub(super) hosts: Vec<(String, String, String)>,
}

impl Farm {
    pub(super) fn make(names: &[String]) -> Result<Self, CertificateFault> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "iCEFARM CA");
        limit(&mut params);
        let key = KeyPair::generate()?;
        let (ca, ca_key) = (params.self_signed(&key)?.pem(), key.serialize_pem());
        let issuer = Issuer::new(params, key);
        let hosts = names.iter().map(|name| host(name, &issuer)).collect::<Result<_, _>>()?;
        Ok(Self { ca, ca_key, hosts })
    }
}

fn host(
    name: &str,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<(String, String, String), CertificateFault> {
    // It becomes part of the names of files, too.
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if !is_address
        && (name.is_empty() || name.starts_with(['.', '-']) || !name.bytes().all(is_plain))
    {
        return Err(CertificateFault::NoHost { name: name.to_owned() });
    }
    // Whoever is on the host itself may say so.
    let mut names = vec![name.to_owned()];
    for own in ["localhost", "127.0.0.1", "::1"] {
        if own != name {
            names.push(own.to_owned());
        }
    }
    let wrong = |source| CertificateFault::Name { name: name.to_owned(), source };
    let mut params = CertificateParams::new(names).map_err(wrong)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    limit(&mut params);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    Ok((name.to_owned(), certificate.pem(), key.serialize_pem()))
}

/// From this year on, since the clocks of workers may be behind.
fn limit(params: &mut CertificateParams) {
    let now = SystemClock.now().to_string();
    let year = now.get(..4).and_then(|year| year.parse().ok()).unwrap_or(2026);
    params.not_before = date_time_ymd(year, 1, 1);
    params.not_after = date_time_ymd(year + YEARS, 12, 31);
}
