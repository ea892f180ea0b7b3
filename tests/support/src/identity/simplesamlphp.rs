//! SimpleSAMLphp: a SAML 2.0 identity provider whose assertions an authorization server redeems.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use tempfile::TempDir;

use super::{Browser, OidcProvider, ServerProcess, SigningKey};
use crate::in_repository;

const DIRECTORY: &str = "tests/identity/simplesamlphp";
const START_LIMIT: Duration = Duration::from_secs(15);
/// PHP cannot choose a free port and report it. Another process may take the chosen port before PHP binds it.
const ATTEMPTS: usize = 3;
const NAMESPACE: &str = r#"xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion""#;

pub struct SimpleSamlPhp {
    _process: ServerProcess,
    addr: SocketAddr,
    state: TempDir,
}

impl SimpleSamlPhp {
    /// As the issuer whose assertions the authorization server redeems.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_as(OidcProvider::TRUSTED_ISSUER)
    }

    #[track_caller]
    pub fn start_as(issuer: &str) -> Self {
        let state = tempfile::tempdir().expect("a temporary directory");
        let key = SigningKey::rs256();
        std::fs::copy(key.private_pem(), state.path().join("saml.key")).expect("the key");
        std::fs::write(state.path().join("saml.pem"), key.certificate_pem()).expect("the certificate");
        for _ in 0..ATTEMPTS {
            let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let addr = free.local_addr().expect("its address");
            drop(free);
            let mut command = Command::new(in_repository(DIRECTORY).join("start.sh"));
            command.env("PORT", addr.port().to_string()).env("STATE", state.path()).env("ISSUER", issuer);
            let mut process = ServerProcess::spawn(&mut command, "its start script takes bash", drop);
            let serves = process.wait_for("SimpleSAMLphp to be ready", START_LIMIT, |process| {
                let said = process.errors();
                let taken = said.contains("Address already in use").then_some(false);
                taken.or_else(|| said.contains("Development Server").then_some(true))
            });
            if serves {
                return Self { _process: process, addr, state };
            }
        }
        panic!("SimpleSAMLphp did not get a free port in {ATTEMPTS} attempts");
    }

    /// Returns the path of the certificate that verifies its assertions.
    pub fn certificate(&self) -> PathBuf {
        self.state.path().join("saml.pem")
    }

    /// Makes assertions for this token endpoint from now on.
    #[track_caller]
    pub fn serve(&self, token_endpoint: &str) {
        self.serve_with(token_endpoint, token_endpoint, 300);
    }

    /// Makes assertions for this audience that name this recipient, and live so many seconds from when they are made.
    #[track_caller]
    pub fn serve_with(&self, audience: &str, recipient: &str, lifetime: i32) {
        let file = OpenOptions::new().append(true).open(self.state.path().join("service-providers"));
        writeln!(file.expect("the service providers"), "{audience} {recipient} {lifetime}").expect("one more");
    }

    /// The signed assertion that a user who logs in gets for an audience, as XML.
    #[track_caller]
    pub fn assertion(&self, user: &str, password: &str, audience: &str) -> String {
        let provider: String = form_urlencoded::byte_serialize(audience.as_bytes()).collect();
        let mut browser = Browser::new(self.addr).types("username", user).types("password", password);
        let arrival = browser.walk(&format!("/saml2/idp/SSOService.php?spentityid={provider}"));
        let fields = arrival.form();
        let response = BASE64_STANDARD.decode(&fields["SAMLResponse"]).expect("a response in base64");
        let response = String::from_utf8(response).expect("a response in UTF-8");
        let start = response.find("<saml:Assertion").expect("an assertion");
        let end = response.find("</saml:Assertion>").expect("its end") + "</saml:Assertion>".len();
        let (tag, rest) = response[start..end].split_once('>').expect("its tag");
        if tag.contains(NAMESPACE) {
            return format!("{tag}>{rest}");
        }
        // Declared at the response around it. The signature is about the canonical form, which declares it here.
        format!("{tag} {NAMESPACE}>{rest}")
    }

    /// An assertion as the token endpoint takes it.
    pub fn encode(assertion: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(assertion)
    }
}
