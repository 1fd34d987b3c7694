//! A certificate for 127.0.0.1 and the authority that signed it.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, Error, IsCa, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// The data of a TLS server, and the certificate that its clients must trust.
pub(crate) struct Identity {
    pub(crate) acceptor: TlsAcceptor,
    /// The authority's certificate as PEM.
    pub(crate) ca_pem: String,
}

impl Identity {
    #[expect(
        clippy::expect_used,
        reason = "made from constants: it works always or never"
    )]
    pub(crate) fn new() -> Self {
        let (ca_pem, certificate, key) = sign().expect("a certificate for 127.0.0.1");
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
                config
                    .with_no_client_auth()
                    .with_single_cert(vec![certificate.der().clone()], key)
            })
            .expect("a TLS configuration from a certificate and its key");
        Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            ca_pem,
        }
    }
}

/// The authority has its own certificate, because clients refuse one that is both.
fn sign() -> Result<(String, rcgen::Certificate, KeyPair), Error> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // A certificate whose subject is also its issuer counts as self-signed.
    authority
        .distinguished_name
        .push(DnType::CommonName, "stand-in authority");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?
        .signed_by(&key, &authority)?;
    Ok((authority.as_ref().pem(), certificate, key))
}
