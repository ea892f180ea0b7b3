//! `jwt`: how the gateway itself verifies the JWTs of an authorization server.

use std::time::Duration;

use super::common::MAX_TTL;
use super::diagnostics::Read;
use super::dialect::read_claim_mapping;
use super::document::{Node, Object, all};
use super::endpoint::{Place, read_authority, read_endpoint_path, read_own_cluster, report_no_authority};
use super::presets::{Presets, load};
use super::wording::{known_words, quote};
use crate::claims::ClaimMapping;
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

pub(super) fn read(node: &Node<'_>, place: &Place<'_>) -> Read<JwtSettings> {
    let object = node.object(KEYS)?;
    let (keys, algorithms, types, leeway, requires_exp, introspects, claims) = all((
        read_source(&object, place),
        object.or_default("algorithms", DEFAULT_ALGORITHMS.to_vec(), |node| {
            node.each("[RS256, ES256]", |node| node.one_of(&Algorithm::WORDS))
        }),
        object.or_default("types", vec!["at+jwt".to_owned()], |node| node.each("[at+jwt]", read_type)),
        object.or_default("leeway", DEFAULT_LEEWAY, |node| node.duration(Duration::ZERO, MAX_LEEWAY, DEFAULT_LEEWAY)),
        object.or_default("require_exp", true, Node::boolean),
        object.or_default("introspect", false, Node::boolean),
        read_claims(&object),
    ))?;
    Ok(JwtSettings { keys, algorithms, types, leeway, requires_exp, introspects, claims })
}

/// How the server's keys are fetched.
fn read_source(object: &Object<'_>, place: &Place<'_>) -> Read<JwksSource> {
    let duration = |key: &str, default: Duration, min: Duration, max: Duration| {
        object.or_default(key, default, |node| node.duration(min, max, default))
    };
    let (second, half_minute) = (Duration::from_secs(1), Duration::from_secs(30));
    let ages = all((
        duration("refresh", Duration::from_secs(300), second, MAX_TTL),
        duration("max_age", MAX_TTL, second, MAX_TTL.saturating_mul(7)),
    ));
    let ages = ages.and_then(|(refresh, max_age)| {
        if refresh < max_age {
            return Ok((refresh, max_age));
        }
        Err(object.report(
            "`refresh` is not less than `max_age`, so keys would be dropped before they are fetched again",
            "set a longer max_age, as in refresh: 5m, max_age: 24h",
        ))
    });
    let (place, clusters, timeout, min_interval, (refresh, max_age)) = all((
        read_place(object, place),
        object.get("cluster").map_or_else(|| place.clusters(), read_own_cluster),
        duration("timeout", second, Duration::from_millis(10), half_minute),
        duration("min_refetch_interval", half_minute, second, Duration::from_secs(3600)),
        ages,
    ))?;
    Ok(JwksSource { clusters, place, timeout, refresh, max_age, min_interval })
}

/// Where the keys are.
fn read_place(object: &Object<'_>, place: &Place<'_>) -> Read<JwksPlace> {
    let issuer = place.issuer.and_then(|issuer| {
        let hint = "set the server's issuer exactly as in its tokens, such as issuer: https://as.example.com";
        issuer.ok_or_else(|| object.report("the server has no `issuer` to compare `iss` with", hint))
    });
    let own = object.optional("authority", read_authority);
    let keeps_authority = matches!(own, Ok(Some(_)));
    let authority = place
        .authority(own)
        .and_then(|authority| authority.ok_or_else(|| report_no_authority(object, "jwt.authority")));
    let place = match (object.get("jwks_path"), object.get("discovery")) {
        (Some(path), None) => read_endpoint_path(path, "/jwks").map(|path| (path, false)),
        (None, Some(discovery)) => read_discovery(discovery, issuer).map(|path| (path, true)),
        (None, None) => Err(object.report(
            "`jwks_path` or `discovery` is missing",
            "set where the server's keys are, as in jwks_path: /jwks, or discovery: openid to read it from the server's metadata",
        )),
        (Some(_), Some(_)) => Err(object.report(
            "`jwks_path` and `discovery` exclude each other",
            "remove one of them; discovery: openid reads the path from the server's metadata",
        )),
    };
    let (issuer, authority, (path, is_discovered)) = all((issuer, authority, place))?;
    let location = Location { authority, path };
    Ok(if is_discovered {
        JwksPlace::Discovered(Discovery { metadata: location, issuer: issuer.to_owned(), keeps_authority })
    } else {
        JwksPlace::Known(location)
    })
}

/// The path of the server's metadata.
fn read_discovery(node: &Node<'_>, issuer: Read<&str>) -> Read<String> {
    let text = node.string("openid")?;
    if text.starts_with('/') {
        return read_endpoint_path(node, METADATA_PATH);
    }
    let Some((_, well_known)) = WellKnown::WORDS.iter().find(|(word, _)| *word == text) else {
        let words: Vec<&str> = WellKnown::WORDS.iter().map(|(word, _)| *word).collect();
        let label = format!("expected the path of the metadata, such as {METADATA_PATH}, or one of");
        return Err(node.report(format!("invalid `{}`", quote(text)), known_words(text, &label, &words)));
    };
    well_known.path(issuer?).ok_or_else(|| {
        let hint = format!("set the path instead, as in discovery: {METADATA_PATH}");
        node.report("no path of metadata can be derived from `issuer`", hint)
    })
}

fn read_type(node: &Node<'_>) -> Read<String> {
    let kind = node.string("at+jwt")?.to_ascii_lowercase();
    Ok(kind.strip_prefix("application/").map_or(kind.clone(), str::to_owned))
}

/// Where the claims are.
fn read_claims(object: &Object<'_>) -> Read<ClaimMapping> {
    if let Some(Ok(answer)) = object.get("answer").map(Node::members) {
        for node in ["active", "invalid_statuses", "error_members"].iter().filter_map(|key| answer.get(key)) {
            node.report("has no effect for JWTs", "remove it, or move it to introspection.answer");
        }
    }
    let (presets, defaults) = (Presets::load(object.node())?, load(CLAIMS, object.node())?);
    let defaults = object.node().other_document(&defaults).members()?;
    read_claim_mapping(&presets.overlay_of(object.clone(), defaults)?)
}

/// The algorithms that most servers sign with and that the host verifies. PS256 and EdDSA are verified in the module,
/// which costs more than half a millisecond for each forged token; an operator can turn them on.
const DEFAULT_ALGORITHMS: [Algorithm; 2] = [Algorithm::Rs256, Algorithm::Es256];
const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);
const MAX_LEEWAY: Duration = Duration::from_secs(300);
const METADATA_PATH: &str = "/.well-known/openid-configuration";

/// Where JWTs have the claims that introspection responses have elsewhere.
const CLAIMS: &str = r#"{ "answer": {
    "scope": ["scope", "scp"],
    "client_id": ["client_id", "azp", "cid", "appid"],
    "owner": ["username", "preferred_username", "sub"],
    "expires_in": []
} }"#;
