//! `jwt`: how an authorization server's JWTs are verified here.

use std::time::Duration;

use super::common::MAX_TTL;
use super::dialect::{PresetOverlay, Presets, read_claim_mapping};
use super::document::{Diagnostics, Node, Object, quote};
use super::endpoint::{Place, read_authority, read_endpoint_path, read_own_cluster};
use crate::base::Json;
use crate::jose::Algorithm;
use crate::server::{Discovery, JwksPlace, JwksSource, JwtSettings, Location, WellKnown};

const KEYS: &[&str] = &[
    "jwks_path",
    "discovery",
    "cluster",
    "authority",
    "timeout",
    "algorithms",
    "types",
    "leeway",
    "require_exp",
    "introspect",
    "refresh",
    "max_age",
    "min_refetch_interval",
    "answer",
];

pub(super) fn read(node: &Node<'_>, place: &Place<'_>) -> Option<JwtSettings> {
    let object = node.object(KEYS)?;
    let clusters = object.or_default("cluster", place.clusters(), |node| read_own_cluster(node).map(Some));
    let authority = object.or_default("authority", None, |node| read_authority(node).map(Some));
    let keys = authority.and_then(|authority| read_place(&object, place, authority));
    if place.issuer.is_none() {
        object.report(
            "the server has no `issuer` to compare `iss` with",
            "set the server's issuer, exactly as tokens have it",
        );
    }
    let duration = |key: &str, default: Duration, min: Duration, max: Duration| {
        object.or_default(key, default, |node| node.duration(min, max))
    };
    let timeout = duration("timeout", Duration::from_secs(1), Duration::from_millis(10), Duration::from_secs(30));
    let leeway = duration("leeway", Duration::from_secs(30), Duration::ZERO, Duration::from_secs(300));
    let refresh = duration("refresh", Duration::from_secs(300), Duration::from_secs(1), MAX_TTL);
    let max_age = duration("max_age", MAX_TTL, Duration::from_secs(1), MAX_TTL.saturating_mul(7));
    let min_interval =
        duration("min_refetch_interval", Duration::from_secs(30), Duration::from_secs(1), Duration::from_secs(3600));
    if let (Some(refresh), Some(max_age)) = (refresh, max_age)
        && refresh >= max_age
    {
        object.report(
            "`refresh` is not before `max_age`: keys would be dropped before they are fetched again",
            "make max_age longer",
        );
        return None;
    }
    let algorithms = object.or_default("algorithms", DEFAULT_ALGORITHMS.to_vec(), |node| node.each(read_algorithm));
    let types = object.or_default("types", vec!["at+jwt".to_owned()], |node| node.each(read_type));
    let requires_exp = object.or_default("require_exp", true, Node::boolean);
    let introspects = object.or_default("introspect", false, Node::boolean);

    if let Some(answer) = object.optional("answer") {
        for (key, node) in answer.free_members()? {
            if ["active", "invalid_statuses", "error_members"].contains(&key) {
                node.report("has no use in a JWT", "remove it");
            }
        }
    }
    let (presets, own) = (Presets::load()?, Json::parse(CLAIMS.as_bytes()).ok()?);
    let diagnostics = Diagnostics::default();
    let (preset, base) = (diagnostics.root(&own), presets.node("rfc7662", &diagnostics)?);
    let layers = PresetOverlay { own: Some(object), preset: preset.members(), base: base.members() };
    let claims = read_claim_mapping(&layers);
    Some(JwtSettings {
        keys: JwksSource {
            clusters: clusters??,
            place: keys?,
            timeout: timeout?,
            refresh: refresh?,
            max_age: max_age?,
            min_interval: min_interval?,
        },
        algorithms: algorithms?,
        types: types?,
        leeway: leeway?,
        requires_exp: requires_exp?,
        introspects: introspects?,
        claims: claims?,
    })
}

/// Where the keys are; `authority` is by what name the server is reached, if that is configured.
fn read_place(object: &Object<'_>, place: &Place<'_>, authority: Option<String>) -> Option<JwksPlace> {
    let path = object.or_default("jwks_path", None, |node| read_endpoint_path(node).map(Some));
    let metadata = object.or_default("discovery", None, |node| read_discovery(node, place).map(Some));
    let keeps_authority = authority.is_some();
    let authority = authority.or_else(|| place.authority.map(str::to_owned));
    if authority.is_none() {
        object.report("no Host can be derived for callouts from `issuer` or `cluster`", "set jwt.authority");
    }
    match (path?, metadata?) {
        (Some(path), None) => Some(JwksPlace::Known(Location { authority: authority?, path })),
        (None, Some(path)) => Some(JwksPlace::Discovered(Discovery {
            metadata: Location { authority: authority?, path },
            issuer: place.issuer?.to_owned(),
            keeps_authority,
        })),
        (None, None) => {
            let hint =
                "write jwks_path, such as /jwks, or discovery: openid or oauth to have the server's metadata say";
            object.report("says nowhere where the server's keys are", hint);
            None
        }
        (Some(_), Some(_)) => {
            object.report("says twice where the server's keys are: `jwks_path` and `discovery`", "remove one of them");
            None
        }
    }
}

/// The path of the server's metadata.
fn read_discovery(node: &Node<'_>, place: &Place<'_>) -> Option<String> {
    let text = node.string()?;
    if text.starts_with('/') {
        return read_endpoint_path(node);
    }
    let Some((_, well_known)) = WellKnown::WORDS.iter().find(|(word, _)| *word == text) else {
        node.report(
            format!("`{}` is no kind of discovery", quote(text)),
            "write openid (OpenID Connect Discovery), oauth (RFC 8414), or the path of the metadata",
        );
        return None;
    };
    let path = well_known.path(place.issuer?);
    if path.is_none() {
        node.report("no path of metadata can be derived from `issuer`", "write the path: /...");
    }
    path
}

fn read_algorithm(node: &Node<'_>) -> Option<Algorithm> {
    let text = node.string()?;
    let algorithm = Algorithm::parse(text);
    if algorithm.is_none() {
        let known: Vec<&str> = Algorithm::WORDS.iter().map(|(word, _)| *word).collect();
        node.report(
            format!("`{}` is no algorithm that is taken", quote(text)),
            format!("write one of: {}", known.join(", ")),
        );
    }
    algorithm
}

fn read_type(node: &Node<'_>) -> Option<String> {
    let kind = node.string()?.to_ascii_lowercase();
    Some(kind.strip_prefix("application/").map_or(kind.clone(), str::to_owned))
}

/// What most servers sign with, and the host verifies; each of the others is one word away. PS256 and EdDSA are
/// verified in the module, which costs more than half a millisecond for each forged token.
const DEFAULT_ALGORITHMS: [Algorithm; 2] = [Algorithm::Rs256, Algorithm::Es256];

/// Where JWTs have what introspection responses have elsewhere.
const CLAIMS: &str = r#"{ "answer": {
    "scope": ["scope", "scp"],
    "client_id": ["client_id", "azp", "cid", "appid"],
    "owner": ["username", "preferred_username", "sub"],
    "expires_in": []
} }"#;
