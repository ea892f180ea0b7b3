#!/usr/bin/env python3
"""Writes own/tokens.json: whole JWTs. The cases are those of Wycheproof's json_web_signature_test.json, with keys of
our own and claims for a payload, and what else a token or a key set can be."""

import hashlib
import hmac
import json
import pathlib

from signing import CHANCE, Ec, Ed, Rsa, part, prime, write

RSA = Rsa([prime(1024, 0.99), prime(1024, 0.98)])
ATTACKER = Rsa([prime(1024, 0.99), prime(1024, 0.98)])
P256, P384, ED = Ec(256, CHANCE.getrandbits(255)), Ec(384, CHANCE.getrandbits(383)), Ed()
KEYS = {**dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), RSA), "ES256": P256, "ES384": P384,
        "EdDSA": ED}
CLAIMS = b'{"iss":"https://id.example.com","sub":"alice","exp":4102444800}'
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
GROUPS = []


def header(alg, **members):
    return json.dumps({"alg": alg, **members}, separators=(",", ":")).encode()


def token(key, alg, head=None, payload=CLAIMS):
    """Signed by this algorithm, whatever the header says."""
    text = f"{part(header(alg) if head is None else head)}.{part(payload)}"
    return f"{text}.{part(key.sign(alg, text.encode()))}"


def group(comment, keys, *tokens):
    """`tokens`: comment, token, and whether it is valid or what refuses it before its signature does."""
    out = []
    for number, (words, text, valid) in enumerate(tokens, 1):
        vector = {"id": str(number), "comment": words, "token": text, "valid": valid is True}
        out.append(vector if isinstance(valid, bool) else vector | {"refused": valid})
    GROUPS.append({"comment": comment, "jwks": {"keys": keys}, "signatures": out})


def other(character):
    """A character whose bits all count, whatever is left over at the end of a part."""
    return ALPHABET[ALPHABET.index(character) ^ 0x20]


def flipped(text, index):
    index %= len(text)
    return text[:index] + other(text[index]) + text[index + 1:]


def structure(alg, key):
    kid = f"kid-{alg}"
    head = header(alg, kid=kid)
    good = token(key, alg, head)
    h, p, s = good.split(".")
    changed = part(CLAIMS.replace(b"alice", b"admin"))
    jwk = key.jwk(alg=alg, use="sig", kid=kid)
    public = json.dumps(jwk).encode()
    keyed = f"{part(header('HS256', kid=kid))}.{p}"
    mac = part(hmac.new(public, keyed.encode(), hashlib.sha256).digest())
    forger = {"RSA": ATTACKER, "EC": Ec(256, 11) if key is P256 else Ec(384, 11), "OKP": Ed()}[jwk["kty"]]
    group(
        f"structure, {alg}", [jwk],
        ("acceptsValid", good, True),
        ("rejectsModifiedSignature: the first character", f"{h}.{p}.{flipped(s, 0)}", False),
        ("rejectsModifiedSignature: in the middle", f"{h}.{p}.{flipped(s, len(s) // 2)}", False),
        ("rejectsModifiedSignature: the last character", f"{h}.{p}.{flipped(s, -1)}", False),
        ("rejectsMissingSignature", f"{h}.{p}.", False),
        ("rejectsMissingSignatureAndSeparator", f"{h}.{p}", "token"),
        ("rejectsModifiedPayload", f"{h}.{changed}.{s}", False),
        ("rejectsMissingPayload", f"{h}..{s}", "token"),
        ("rejectsMissingPayloadAndSeparator", f"{h}.{s}", "token"),
        ("rejectsModifiedHeader: another kid", f"{part(header(alg, kid='Xid'))}.{p}.{s}", "key"),
        ("rejectsModifiedHeader: no kid", f"{part(header(alg))}.{p}.{s}", False),
        ("rejectsMissingHeader", f".{p}.{s}", "token"),
        ("rejectsMissingHeaderAndSeparator", f"{p}.{s}", "token"),
        ("rejectsMissingHeaderAndSignature", f".{p}.", "token"),
        ("rejectsMissingHeaderSignatureAndSeparators", p, "token"),
        ("rejectsEmptyString", "", "token"),
        ("rejectsExtraEmptyComponent", f"{good}.", "token"),
        ("rejectsExtraComponent", f"{good}.{s}", "token"),
        ("rejectsNoneAlgorithmAndMissingSignature", f"{part(header('none', kid=kid))}.{p}.", "token"),
        ("algIsNone, with a signature", f"{part(header('none', kid=kid))}.{p}.{s}", "token"),
        ("algIsNone, in capitals", f"{part(header('NONE', kid=kid))}.{p}.", "token"),
        ("algIsNone, no kid", f"{part(header('none'))}.{p}.", "token"),
        ("rejectsValidJsonSerialization: flattened", json.dumps({"protected": h, "payload": p, "signature": s}), "token"),
        ("rejectsValidJsonSerialization: general",
         json.dumps({"payload": p, "signatures": [{"protected": h, "signature": s}]}), "token"),
        ("rejectsSymmetryConfusionAttacks: the public key as the key of HS256", f"{keyed}.{mac}", "token"),
        ("rejectsAttackerProvidedEmbeddedJwk",
         token(forger, alg, header(alg, kid=kid, jwk=forger.jwk(alg=alg, use="sig", kid=kid))), False),
        ("rejectsAttackerProvidedEmbeddedJwk, no kid", token(forger, alg, header(alg, jwk=forger.jwk())), False),
        ("a jku of an attacker", token(forger, alg, header(alg, kid=kid, jku="https://evil.example/jwks")), False),
        ("an embedded jwk is not looked at", token(key, alg, header(alg, kid=kid, jwk=forger.jwk())), True),
        ("of another key", token(forger, alg, head), False),
        ("the alg in small letters", token(key, alg, header(alg.lower(), kid=kid)) if alg != "EdDSA"
         else f"{part(header('eddsa', kid=kid))}.{p}.{s}", "token"),
    )


def wrong_primitives():
    for alg in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"):
        key, kid = RSA.jwk(alg=alg, kid="k"), "k"
        others = [name for name in KEYS if KEYS[name] is RSA and name != alg]
        group(
            f"WrongPrimitive, a key for {alg}", [key],
            *((f"made with {name}, called {alg}", sign_as(name, alg, kid), False) for name in others),
            *((f"made with {name}, called {name}", sign_as(name, name, kid), "key") for name in others),
            *((f"made with {alg}, called {name}", sign_as(alg, name, kid), "key") for name in others),
            *((f"made with {alg}, called {name}", sign_as(alg, name, kid), "key") for name in ("ES256", "ES384", "EdDSA")),
            *((f"made with {alg}, called {name}", sign_as(alg, name, kid), "token")
              for name in ("HS256", "ES512", "ES256K", "RSA1_5", "Ed25519", "")),
        )
    group("keys that name no algorithm", [RSA.jwk(), P256.jwk(), P384.jwk(), ED.jwk()],
          *((alg, token(key, alg), True) for alg, key in KEYS.items()),
          ("RS256 called ES256", sign_as("RS256", "ES256", "k"), False),
          ("RS256 called EdDSA", sign_as("RS256", "EdDSA", "k"), False))


def sign_as(made_with, called, kid):
    return token(KEYS[made_with], made_with, header(called, kid=kid))


def keys():
    good = token(P256, "ES256", header("ES256", kid="k"))
    unnamed = token(P256, "ES256")
    rs256 = token(RSA, "RS256", header("RS256", kid="k"))
    of_other = Ec(256, 13)
    for comment, members, valid in (
        ("use: sig", {"use": "sig"}, True),
        ("rejectWrongUse: enc", {"use": "enc"}, "key"),
        ("use: SIG", {"use": "SIG"}, "key"),
        ("key_ops: verify", {"key_ops": ["verify"]}, True),
        ("key_ops: sign, verify", {"key_ops": ["sign", "verify"]}, True),
        ("rejectWrongKeyOps: encrypt", {"key_ops": ["encrypt"]}, "key"),
        ("key_ops: none", {"key_ops": []}, "key"),
        ("key_ops: sign", {"key_ops": ["sign"]}, "key"),
        ("an alg that is none of ours", {"alg": "ES256K"}, "key"),
        ("an alg that is no text", {"alg": 7}, "key"),
        ("members that nobody knows", {"ext": True, "x5t": "AAAA"}, True),
    ):
        group(f"the key says {comment}", [P256.jwk(kid="k", **members)], ("ES256", good, valid))
        alg = {"alg": "RS256K"} if "alg" in members else {}
        group(f"the key says {comment}", [RSA.jwk(kid="k", **members | alg)], ("RS256", rs256, valid))
    group("no keys", [], ("ES256", good, "key"))
    group("two keys of one name, the second is it", [of_other.jwk(kid="k"), P256.jwk(kid="k")],
          ("by name", good, True), ("without a name", unnamed, True),
          ("by another name", token(P256, "ES256", header("ES256", kid="j")), "key"))
    group("keys of two names", [of_other.jwk(kid="a"), P256.jwk(kid="b")],
          ("by its name", token(P256, "ES256", header("ES256", kid="b")), True),
          ("by the name of the other", token(P256, "ES256", header("ES256", kid="a")), False),
          ("without a name", unnamed, True))
    group("a key without a name", [P256.jwk()], ("by a name", good, True), ("without a name", unnamed, True))


def headers():
    def of(head):
        return token(P256, "ES256", head)
    group(
        "headers", [P256.jwk(kid="k")],
        ("ValidSpacesInJsonHeader", of(b'{ "kid" : "k", "alg" : "ES256" }'), True),
        ("ValidWhiteSpaceInJsonHeader", of(b'{"kid":"k",\n\t"alg":"ES256"}'), True),
        ("an escape in a name", of(b'{"\\u0061lg":"ES256"}'), True),
        ("typ", of(header("ES256", typ="at+jwt", cty="x")), True),
        ("crit", of(header("ES256", crit=["exp"], exp=1)), "token"),
        ("crit of b64", of(header("ES256", crit=["b64"], b64=False)), "token"),
        ("b64", of(header("ES256", b64=True)), "token"),
        ("alg twice", of(b'{"alg":"none","alg":"ES256"}'), "token"),
        ("alg twice, once with an escape", of(b'{"alg":"none","\\u0061lg":"ES256"}'), "token"),
        ("kid twice", of(b'{"alg":"ES256","kid":"k","kid":"j"}'), "token"),
        ("no alg", of(b'{"kid":"k"}'), "token"),
        ("alg is a list", of(b'{"alg":["ES256"]}'), "token"),
        ("alg is null", of(b'{"alg":null}'), "token"),
        ("alg has a space behind", of(b'{"alg":"ES256 "}'), "token"),
        ("kid is a number", of(b'{"alg":"ES256","kid":1}'), "token"),
        ("an empty object", of(b"{}"), "token"),
        ("an array", of(b"[]"), "token"),
        ("JSON and more", of(b'{"alg":"ES256"}{}'), "token"),
        ("a mark of the byte order", of(b'\xef\xbb\xbf{"alg":"ES256"}'), "token"),
        ("octets that are not UTF-8", of(b'{"alg":"ES256","x":"\xff"}'), "token"),
    )
    group(
        "payloads", [P256.jwk(kid="k")],
        ("no claims", token(P256, "ES256", payload=b"{}"), True),
        ("emptyPayload", token(P256, "ES256", payload=b""), "token"),
        ("allZeroPayload", token(P256, "ES256", payload=bytes(16)), "token"),
        ("a text", token(P256, "ES256", payload=b'"foo"'), "token"),
        ("a claim twice", token(P256, "ES256", payload=b'{"sub":"a","sub":"b"}'), "token"),
    )


def base64url():
    """What a lax decoder reads as the same octets."""
    for alg in ("ES256", "RS256"):
        key = KEYS[alg]
        # Lengths that leave bits over.
        h, p, s = token(key, alg, header(alg, kid="k"), CLAIMS + b" ").split(".")
        assert len(h) % 4 and len(p) % 4 and len(s) % 4
        def spoiled(change, name):
            parts = {"header": (change(h), p, s), "payload": (h, change(p), s), "signature": (h, p, change(s))}
            return ".".join(parts[name])
        changes = {
            "padding": lambda text: text + "=" * (-len(text) % 4),
            "a space behind": lambda text: text + " ",
            "a space within": lambda text: f"{text[:5]} {text[5:]}",
            "a line break within": lambda text: f"{text[:5]}\n{text[5:]}",
            "InvalidCharacterInserted": lambda text: f"{text[:5]}!{text[5:]}",
            "a zero octet within": lambda text: f"{text[:5]}\0{text[5:]}",
            "a letter of another alphabet": lambda text: f"{text[:5]}é{text[6:]}",
            "ModifiedUnusedBits": lambda text: text[:-1] + ALPHABET[ALPHABET.index(text[-1]) ^ 1],
            "one character more": lambda text: text + "A" * (5 - len(text) % 4),
        }
        group(f"base64url, {alg}", [key.jwk(kid="k")], ("good", f"{h}.{p}.{s}", True),
              *((f"{words}: {name}", spoiled(change, name), "token")
                for words, change in changes.items() for name in ("header", "payload", "signature")),
              ("base64 in the place of base64url", f"{h}.{p}.{s.replace('-', '+').replace('_', '/')}", "token"),
              ("a space in front of the token", f" {h}.{p}.{s}", "token"),
              ("a line break behind the token", f"{h}.{p}.{s}\n", "token"))
        # Signed as it is written: what is signed is not what another reads.
        text = f"{h}=.{p}"
        group(f"MacOfIncorrectlyEncodedMessage, {alg}", [key.jwk(kid="k")],
              ("the padding is signed, too", f"{text}.{part(key.sign(alg, text.encode()))}", "token"))


if __name__ == "__main__":
    for name, signer in KEYS.items():
        structure(name, signer)
    wrong_primitives()
    keys()
    headers()
    base64url()
    write(pathlib.Path(__file__).parent / "own" / "tokens.json", {"source": "tests/vectors/tokens.py", "groups": GROUPS})
