//! Encrypted connections. Certificates are always verified.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::sync::Arc;

use sluice_core::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};

use crate::server::invalid;

/// What a server has done that ends a handshake by an alert.
pub(crate) const REFUSED: &str =
    "refuses the TLS connection; it may require a client certificate that it trusts (tls.cert, tls.key)";

const ACCEPTED_CERTIFICATES: &str = "one PEM certificate or more";

/// What a server of TLS is trusted by, and what it may ask this process for. Certificates and keys are PEM.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct TlsOptions {
    /// Whether a connection is to be encrypted whatever its url says.
    pub is_asked_for: bool,
    /// The authorities that are trusted, in place of `roots`.
    pub ca: Option<String>,
    /// The certificate of this process, and those that lead to its authority.
    pub cert: Option<String>,
    /// The key of `cert`.
    pub key: Option<String>,
    /// The name that certificates are to be for, in place of the host that is connected to.
    pub servername: Option<String>,
    /// The authorities that are trusted without `ca`. Those that cannot be read are left out.
    pub roots: Option<Arc<str>>,
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions").field("servername", &self.servername).finish_non_exhaustive()
    }
}

/// Checked options of TLS.
#[derive(Clone)]
pub(crate) struct Tls {
    given: Arc<TlsOptions>,
    name: Option<ServerName<'static>>,
    config: Arc<ClientConfig>,
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.given == other.given
    }
}

impl Eq for Tls {}

impl Hash for Tls {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.given.hash(state);
    }
}

impl Tls {
    /// `option` names the server in errors, which repeat nothing of certificates and keys.
    pub(crate) fn new(option: &str, given: &TlsOptions) -> Result<Self, Error> {
        let option = format!("{option}.tls");
        let roots = match &given.ca {
            Some(ca) => authorities(&format!("{option}.ca"), ca)?,
            None => default_authorities(given.roots.as_deref().unwrap_or_default()),
        };
        let name = given.servername.clone().map(ServerName::try_from).transpose();
        let name = name.map_err(|_| {
            invalid(
                &format!("{option}.servername"),
                "no name of a host",
                "the name of a host, or its address",
            )
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| invalid(&option, &error.to_string(), "TLS 1.2 or 1.3"))?;
        let builder = builder.with_root_certificates(roots);
        let config = match client_certificate(&option, given)? {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|error| {
                let given = format!("given with a certificate that it does not fit ({error})");
                invalid(&format!("{option}.key"), &given, "the PEM private key of `cert`")
            })?,
        };
        Ok(Self { given: Arc::new(given.clone()), name, config: Arc::new(config) })
    }

    /// Encrypts a connection to a host; or says in words why not.
    pub(crate) async fn encrypt(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, String> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned())
                .map_err(|_| "has no name that a certificate can be for")?,
        };
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector.connect(name, stream).await.map_err(|error| explain(&error))
    }
}

fn authorities(option: &str, pem: &str) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(option, pem)? {
        roots.add(certificate).map_err(|error| {
            invalid(option, &format!("a certificate that is no authority's ({error})"), ACCEPTED_CERTIFICATES)
        })?;
    }
    Ok(roots)
}

/// Some authorities of a system may be of a form that is not supported.
fn default_authorities(pem: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem.as_bytes()).flatten());
    roots
}

fn certificates(option: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(invalid(option, "a text that holds none", ACCEPTED_CERTIFICATES)),
        Err(_) => Err(invalid(option, "a text that is no PEM", ACCEPTED_CERTIFICATES)),
    }
}

type ClientCertificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client_certificate(option: &str, given: &TlsOptions) -> Result<Option<ClientCertificate>, Error> {
    let (cert, key) = match (&given.cert, &given.key) {
        (None, None) => return Ok(None),
        (Some(cert), Some(key)) => (cert, key),
        (Some(_), None) => return Err(invalid(&format!("{option}.key"), "missing", "the key of `cert`")),
        (None, Some(_)) => {
            return Err(invalid(&format!("{option}.cert"), "missing", "the certificate of `key`"));
        }
    };
    let chain = certificates(&format!("{option}.cert"), cert)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| {
        let accepted = "a PEM private key that is not encrypted";
        invalid(&format!("{option}.key"), "a text that holds none", accepted)
    })?;
    Ok(Some((chain, key)))
}

/// Why no encrypted connection was made.
fn explain(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => explain_tls(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "has ended the connection: it may not use TLS".to_owned()
        }
        None => format!("cannot be reached: {error}"),
    }
}

fn explain_tls(error: &rustls::Error) -> String {
    use rustls::Error as Tls;
    match error {
        Tls::InvalidCertificate(why) => format!("has a certificate {}", explain_certificate(why)),
        Tls::InvalidMessage(_) => "answers with something else than TLS".to_owned(),
        Tls::AlertReceived(_) => REFUSED.to_owned(),
        _ => format!("refuses the TLS connection: {error}"),
    }
}

fn explain_certificate(error: &CertificateError) -> String {
    use CertificateError as Certificate;
    match error {
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
            "for another name; accepted: the host, or tls.servername, among its subjectAltName".to_owned()
        }
        Certificate::UnknownIssuer => {
            "of an authority that is not trusted; trusted: those of tls.ca".to_owned()
        }
        Certificate::Expired | Certificate::ExpiredContext { .. } => "that has expired".to_owned(),
        Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
            "that is not valid yet".to_owned()
        }
        Certificate::Revoked => "that was revoked".to_owned(),
        _ if error.to_string().contains("CaUsedAsEndEntity") => {
            "that is an authority's own; accepted: one that the authority has signed".to_owned()
        }
        _ => format!("that cannot be verified: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(given: &TlsOptions) -> String {
        let Err(error) = Tls::new("scope.redis", given) else { panic!("{given:?}") };
        assert_eq!(error.code(), "INVALID_OPTION");
        assert!(!error.to_string().contains("secret"), "{error}");
        error.to_string()
    }

    #[test]
    fn what_holds_no_certificate_is_refused_and_not_repeated() {
        let text = |text: &str| Some(text.to_owned());
        let none = TlsOptions::default();
        let broken = "-----BEGIN CERTIFICATE-----\nsecret!\n-----END CERTIFICATE-----\n";
        for ca in ["", "secret", broken] {
            let message = refused(&TlsOptions { ca: text(ca), ..none.clone() });
            assert!(message.contains("scope.redis.tls.ca"), "{message}");
        }
        assert!(refused(&TlsOptions { key: text("secret"), ..none.clone() }).contains("tls.cert"));
        assert!(refused(&TlsOptions { cert: text("secret"), ..none.clone() }).contains("tls.key"));
        assert!(refused(&TlsOptions { servername: text("no host"), ..none }).contains("tls.servername"));
    }

    #[test]
    fn authorities_of_a_system_that_cannot_be_read_are_left_out() {
        let roots = Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into());
        assert!(Tls::new("scope.redis", &TlsOptions { roots, ..TlsOptions::default() }).is_ok());
    }
}
