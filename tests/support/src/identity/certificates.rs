//! X.509 certificates of the tests, made anew for each.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyIdMethod, SanType, SerialNumber,
};

use super::SigningKey;

/// A certificate that the key has signed for itself.
pub fn self_signed(key: &SigningKey) -> Certificate {
    parameters("self", 1).self_signed(key).expect("a certificate")
}

/// The files of a server with TLS, under an authority of its own whose key is thrown away.
pub struct TlsFiles {
    pub ca: PathBuf,
    pub key: PathBuf,
    pub certificate: PathBuf,
}

impl TlsFiles {
    /// Written into a folder, for a server at this address.
    #[track_caller]
    pub fn write(directory: &Path, address: IpAddr) -> Self {
        let (authority, server) = (SigningKey::es256(), SigningKey::es256());
        let mut ca = parameters("Private authority", 1);
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let mut own = parameters("Identity server", 2);
        own.is_ca = IsCa::ExplicitNoCa;
        own.subject_alt_names = vec![SanType::IpAddress(address)];
        let ca_certificate = ca.self_signed(&authority).expect("a certificate");
        let certificate = own.signed_by(&server, &Issuer::new(ca, authority)).expect("a certificate");
        let file = |name: &str| directory.join(name);
        let files = Self { ca: file("ca.pem"), key: file("server.key"), certificate: file("server.pem") };
        std::fs::write(&files.ca, ca_certificate.pem()).expect("the authority");
        std::fs::write(&files.certificate, certificate.pem()).expect("the certificate");
        std::fs::copy(server.private_pem(), &files.key).expect("the key");
        files
    }
}

fn parameters(name: &str, number: u64) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.serial_number = Some(SerialNumber::from(number));
    parameters.key_identifier_method = KeyIdMethod::PreSpecified(vec![1]);
    parameters
}
