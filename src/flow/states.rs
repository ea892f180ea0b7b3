//! The states of a token check. Each is a value that the next phase consumes, so a decision can be taken neither twice
//! nor too early.

use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;
use std::vec;

use super::question::Question;
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

/// What a request needs next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing: it is decided.
    Done(Decision),
    /// A value of shared data.
    ReadShared(Lookup),
    /// The host's verdict on a signature, if it can verify one.
    VerifySignature(Box<Verification>),
    /// The response to a callout.
    Call(Call),
}

/// What a phase leads to. Only the driver acts on it.
pub(super) enum Next {
    /// Look the token up for the current authorization server.
    LookUp(TokenCheck),
    /// Go on to the next authorization server: the current one does not accept the token.
    NextServer(TokenCheck),
    /// No cache knows the token: verify it or introspect it. The header is that of a JWT to be verified here.
    Validate(TokenCheck, Option<Header>),
    /// Verify a JWT. `fetched`: whether the keys have just been fetched for it.
    Verify { check: TokenCheck, jwt: Rc<JwtSettings>, header: Header, fetched: bool },
    /// Fetch the keys of the current authorization server.
    FetchKeys(TokenCheck, Rc<JwtSettings>),
    /// Send an introspection request.
    Introspect(TokenCheck, Question),
    /// Decide by what is known of the token.
    Decide(TokenCheck, TokenState),
    /// Every authorization server has been tried.
    Exhausted(TokenCheck),
    /// The request needs something, or is decided.
    Step(Step),
}

/// A request whose token is being checked.
#[derive(Debug)]
pub(crate) struct TokenCheck {
    pub(super) rule: EffectiveRule,
    pub(super) token: AccessToken,
    /// The authorization server that is tried now.
    pub(super) current: Candidate,
    /// Those that are tried after it, in order.
    pub(super) rest: vec::IntoIter<Rc<Server>>,
    /// Those that were unavailable, in order: their stale entries may be used.
    pub(super) unavailable: Vec<Candidate>,
    /// Why the first of them failed: if no other accepts the token, it is unknown whether the token is valid.
    pub(super) error: Option<CalloutError>,
    /// Why the last one refused the token without a callout.
    pub(super) refusal: Option<Denial>,
    /// Whether the cache outcome for the current server has been counted: the cache may be read twice.
    pub(super) is_counted: bool,
    /// Whether this renews an entry that may still be used, and replaces it.
    pub(super) renews: bool,
    /// What the client was charged for an unknown token.
    pub(super) charge: Option<Charge>,
}

/// An authorization server that may accept the token.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) server: Rc<Server>,
    /// Of the token; computed when shared data are read.
    digest: OnceCell<TokenDigest>,
}

/// Waits for a bucket of the shared cache.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(super) check: TokenCheck,
    pub(super) kind: LookupKind,
    pub(super) key: String,
}

/// Which entries a lookup accepts.
#[derive(Debug)]
pub(super) enum LookupKind {
    /// Fresh entries of a partition.
    Fresh(Partition),
    /// Stale entries of an unavailable server; those that are tried after it.
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
    /// Further keys that may have signed the token, in the order in which they are tried.
    pub(super) other_keys: vec::IntoIter<(Rc<PublicKey>, Thumbprint)>,
    /// What the token claims; not to be trusted before its signature is verified.
    pub(super) claims: Claims,
    /// Whether the keys have just been fetched for it.
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

/// What a callout is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// The state of the token. `client_token` is the gateway's own access token, where the endpoint takes one. If it is
    /// refused, another one is obtained, unless `renewable` is false: a second refusal is final.
    Introspection { question: Question, client_token: Option<Secret>, renewable: bool },
    /// The gateway's own access token, before the introspection request.
    ClientToken { question: Question, endpoint: Rc<TokenEndpoint>, renewable: bool },
    /// The keys to verify the token with.
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
    /// `None` without an authorization server.
    pub(crate) fn new(rule: EffectiveRule, servers: Vec<Rc<Server>>, token: AccessToken) -> Option<Self> {
        let mut rest = servers.into_iter();
        let current = Candidate::new(rest.next()?);
        let (unavailable, error, refusal) = (Vec::new(), None, None);
        let (is_counted, renews, charge) = (false, false, None);
        Some(Self { rule, token, current, rest, unavailable, error, refusal, is_counted, renews, charge })
    }

    /// The same check, of the current authorization server only, to renew what is known.
    pub(super) fn renewal(&self) -> Self {
        Self {
            rule: self.rule.clone(),
            token: self.token.clone(),
            current: Candidate::new(Rc::clone(&self.current.server)),
            rest: Vec::new().into_iter(),
            unavailable: Vec::new(),
            error: None,
            refusal: None,
            is_counted: false,
            renews: true,
            charge: None,
        }
    }

    pub(super) fn server(&self) -> &Rc<Server> {
        &self.current.server
    }

    pub(super) fn digest(&self) -> &TokenDigest {
        self.current.digest(&self.token)
    }

    /// The header of the token, if it is a JWT that the current server's settings verify here.
    pub(super) fn header(&self) -> Option<Header> {
        self.server().config.jwt.as_ref().and_then(|_| Header::of(self.token.reveal()))
    }

    /// The check with the next authorization server as the current one.
    pub(super) fn advance(mut self) -> Next {
        self.is_counted = false;
        match self.rest.next() {
            Some(server) => Next::LookUp(Self { current: Candidate::new(server), ..self }),
            None => Next::Exhausted(self),
        }
    }

    /// The current authorization server is unavailable; another may accept the token.
    pub(super) fn give_up(mut self, error: CalloutError) -> Next {
        self.error = self.error.or(Some(error));
        if error.is_outage() {
            self.unavailable.push(Candidate::new(Rc::clone(&self.current.server)));
        }
        Next::NextServer(self)
    }

    /// The current authorization server would not have issued such a token, or has not signed it.
    pub(super) fn reject(mut self, denial: Denial) -> Next {
        self.refusal = Some(denial);
        Next::NextServer(self)
    }
}

impl Lookup {
    /// The key to read in shared data.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }
}
