//! The states of a token check. Each state is a value that the next phase consumes, so no decision can be made twice or
//! too early.

use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;
use std::vec;

use super::introspection::Introspection;
use crate::base::Secret;
use crate::cache::Partition;
use crate::claims::{Claims, TokenState};
use crate::decision::Denial;
use crate::host::CalloutError;
use crate::jose::{Algorithm, Header, PublicKey, Thumbprint};
use crate::policy::{EffectiveRule, Forward};
use crate::response::Reply;
use crate::server::{Charge, JwtSettings, KeyFetch, Server, TokenEndpoint};
use crate::token::{AccessToken, TokenDigest};

/// The decision about a request.
#[derive(Debug)]
pub enum Decision {
    /// The request may pass.
    Forward(Forward),
    /// The request is refused with this response.
    Respond(Reply),
    /// The request may pass, although this would be the response if the configuration were enforced.
    Report(Reply),
}

/// The next step of a request.
#[derive(Debug)]
pub(crate) enum Step {
    /// The request is decided.
    Done(Decision),
    /// The host must read shared data.
    ReadShared(Lookup),
    /// The host must verify a signature, if it can.
    VerifySignature(Box<Verification>),
    /// The host must send a callout.
    Call(Call),
}

/// The next phase. Only the driver acts on it.
pub(super) enum Next {
    /// Look the token up for the current authorization server.
    LookUp(TokenCheck),
    /// Try the next authorization server: the current one does not accept the token.
    Advance(TokenCheck),
    /// The token is not cached: verify or introspect it. The header is that of a JWT to verify here.
    Validate(TokenCheck, Option<Header>),
    /// Verify a JWT. `fetched`: whether the keys were just fetched for it.
    Verify { check: TokenCheck, jwt: Rc<JwtSettings>, header: Header, fetched: bool },
    /// Fetch the keys of the current authorization server.
    FetchKeys(TokenCheck, Rc<JwtSettings>),
    /// Send an introspection request.
    Introspect(TokenCheck, Introspection),
    /// Decide by the state of the token.
    Decide(TokenCheck, TokenState),
    /// No authorization server is left to try.
    Exhausted(TokenCheck),
    /// The request needs the host, or is decided.
    Step(Step),
}

/// A request whose token is being checked.
#[derive(Debug)]
pub(crate) struct TokenCheck {
    pub(super) rule: EffectiveRule,
    pub(super) token: AccessToken,
    /// The authorization server that is tried now.
    pub(super) current: Candidate,
    /// Further authorization servers, in order.
    pub(super) rest: vec::IntoIter<Rc<Server>>,
    /// Unavailable authorization servers, in order. Their stale entries may be used.
    pub(super) unavailable: Vec<Candidate>,
    /// The error of the first unavailable server: if no other server accepts the token, the state of the token is
    /// unknown.
    pub(super) error: Option<CalloutError>,
    /// Why the last server refused the token without a callout.
    pub(super) refusal: Option<Denial>,
    /// Whether the cache outcome for the current server has been counted: the cache may be read twice.
    pub(super) is_counted: bool,
    /// Whether this check renews an entry that may still be used.
    pub(super) renews: bool,
    /// The charge of the client for an unknown token.
    pub(super) charge: Option<Charge>,
}

/// An authorization server that may accept the token.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) server: Rc<Server>,
    /// The digest of the token; computed when shared data are read.
    digest: OnceCell<TokenDigest>,
}

/// Waits for a bucket of the shared cache.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(super) check: TokenCheck,
    pub(super) kind: LookupKind,
    pub(super) key: String,
}

/// The entries that a lookup accepts.
#[derive(Debug)]
pub(super) enum LookupKind {
    /// Fresh entries of a partition.
    Fresh(Partition),
    /// Stale entries of an unavailable server; further unavailable servers to try.
    Stale(Candidate, vec::IntoIter<Candidate>),
}

/// Waits for the verdict on a signature.
pub(crate) struct Verification {
    pub(super) check: TokenCheck,
    pub(super) jwt: Rc<JwtSettings>,
    pub(super) algorithm: Algorithm,
    pub(super) text: String,
    pub(super) signature: Vec<u8>,
    /// The key that is tried now.
    pub(super) key: (Rc<PublicKey>, Thumbprint),
    /// Further keys that may have signed the token, in order.
    pub(super) other_keys: vec::IntoIter<(Rc<PublicKey>, Thumbprint)>,
    /// The claims of the token. They are not trusted before the signature is verified.
    pub(super) claims: Claims,
    /// Whether the keys were just fetched for this token.
    pub(super) fetched: bool,
}

impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verification").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Waits for the response to a callout to the current authorization server.
#[derive(Debug)]
pub(crate) struct Call {
    pub(super) check: TokenCheck,
    pub(super) purpose: Purpose,
}

/// The purpose of a callout.
#[derive(Debug)]
pub(super) enum Purpose {
    /// The state of the token. `client_token` is the gateway's own access token, if the endpoint requires one. If the
    /// server refuses it and `renewable` is set, another one is obtained; a second refusal is final.
    Introspection { introspection: Introspection, client_token: Option<Secret>, renewable: bool },
    /// The gateway's own access token, before the introspection request.
    ClientToken { introspection: Introspection, endpoint: Rc<TokenEndpoint>, renewable: bool },
    /// The keys that may verify the token.
    Keys(KeyFetch),
}

impl Candidate {
    pub(super) fn new(server: Rc<Server>) -> Self {
        Self { server, digest: OnceCell::new() }
    }

    pub(super) fn digest(&self, token: &AccessToken) -> &TokenDigest {
        self.digest.get_or_init(|| self.server.digest_key.digest(token))
    }
}

impl TokenCheck {
    /// Returns `None` if there is no authorization server.
    pub(crate) fn new(rule: EffectiveRule, servers: Vec<Rc<Server>>, token: AccessToken) -> Option<Self> {
        let mut rest = servers.into_iter();
        let current = Candidate::new(rest.next()?);
        Some(Self::starting(rule, token, current, rest))
    }

    /// Returns a check that renews the entry of the current authorization server.
    pub(super) fn renewal(&self) -> Self {
        let current = Candidate::new(Rc::clone(&self.current.server));
        let check = Self::starting(self.rule.clone(), self.token.clone(), current, Vec::new().into_iter());
        Self { renews: true, ..check }
    }

    /// Returns a check that has tried nothing yet.
    fn starting(rule: EffectiveRule, token: AccessToken, current: Candidate, rest: vec::IntoIter<Rc<Server>>) -> Self {
        Self {
            rule,
            token,
            current,
            rest,
            unavailable: Vec::new(),
            error: None,
            refusal: None,
            is_counted: false,
            renews: false,
            charge: None,
        }
    }

    pub(super) fn server(&self) -> &Rc<Server> {
        &self.current.server
    }

    pub(super) fn digest(&self) -> &TokenDigest {
        self.current.digest(&self.token)
    }

    /// Returns the header of the token, if it is a JWT and the current server has `jwt` settings.
    pub(super) fn header(&self) -> Option<Header> {
        self.server().config.jwt.as_ref().and_then(|_| Header::of(self.token.reveal()))
    }

    /// Continues with the next authorization server.
    pub(super) fn advance(mut self) -> Next {
        self.is_counted = false;
        match self.rest.next() {
            Some(server) => Next::LookUp(Self { current: Candidate::new(server), ..self }),
            None => Next::Exhausted(self),
        }
    }

    /// Continues with the next authorization server, because the current one is unavailable.
    pub(super) fn give_up(mut self, error: CalloutError) -> Next {
        self.error = self.error.or(Some(error));
        if error.is_outage() {
            self.unavailable.push(Candidate::new(Rc::clone(&self.current.server)));
        }
        Next::Advance(self)
    }

    /// Continues with the next authorization server, because the current one would not have issued such a token, or has
    /// not signed it.
    pub(super) fn reject(mut self, denial: Denial) -> Next {
        self.refusal = Some(denial);
        Next::Advance(self)
    }
}

impl Lookup {
    /// Returns the key to read in shared data.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }
}
