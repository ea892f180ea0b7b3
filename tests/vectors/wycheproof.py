#!/usr/bin/env python3
"""Writes wycheproof/*.json from the test vectors of Wycheproof (Apache-2.0): README.md says where these are.

usage: wycheproof.py DIRECTORY_OF_TEST_VECTORS
"""

import json
import pathlib
import sys

from signing import part, write

# What is taken, and the algorithm by which it is read.
FILES = {
    "rsa_signature_2048_sha256": "RS256",
    "rsa_signature_3072_sha384": "RS384",
    "rsa_signature_4096_sha512": "RS512",
    "rsa_signature_8192_sha256": "RS256",
    "rsa_pss_2048_sha256_mgf1_32": "PS256",
    "rsa_pss_2048_sha384_mgf1_48": "PS384",
    "rsa_pss_3072_sha256_mgf1_32": "PS256",
    "rsa_pss_4096_sha512_mgf1_64": "PS512",
    # Other salts and other masks than RFC 7518 §3.5 has.
    "rsa_pss_2048_sha256_mgf1_0": "PS256",
    "rsa_pss_2048_sha256_mgf1sha1_20": "PS256",
    "rsa_pss_misc": "PS",
    "ecdsa_secp256r1_sha256_p1363": "ES256",
    "ecdsa_secp384r1_sha384_p1363": "ES384",
    # In DER, which RFC 7518 §3.4 does not have.
    "ecdsa_secp256r1_sha256": "ES256",
    "ed25519": "EdDSA",
}
CURVES = {"secp256r1": ("P-256", 32), "secp384r1": ("P-384", 48)}
HASHES = {"SHA-256": 32, "SHA-384": 48, "SHA-512": 64}


def number(digits, length=None):
    value = int(digits, 16)
    return part(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


def jwk(key, alg):
    if "modulus" in key:
        return {"kty": "RSA", "alg": alg, "n": number(key["modulus"]), "e": number(key["publicExponent"])}
    if key["curve"] in CURVES:
        curve, length = CURVES[key["curve"]]
        return {"kty": "EC", "alg": alg, "crv": curve, "x": number(key["wx"], length), "y": number(key["wy"], length)}
    return {"kty": "OKP", "alg": alg, "crv": "Ed25519", "x": part(bytes.fromhex(key["pk"]))}


def stricter(group):
    """Why a signature that is good elsewhere is none here."""
    if group["type"] == "EcdsaVerify":
        return "RFC 7518 §3.4: r and s in full length, not DER"
    if "sLen" in group and group["mgfSha"] != group["sha"]:
        return "RFC 7518 §3.5: the mask is made with the hash function of the message"
    if "sLen" in group and group["sLen"] != HASHES[group["sha"]]:
        return "RFC 7518 §3.5: the salt is as long as the hash"
    return None


def is_good_here(group, test):
    """Whether the only fault of a signature is that it has the salt of RFC 7518 §3.5, and not another."""
    return "sLen" in group and group["mgfSha"] == group["sha"] and group["sLen"] != HASHES[group["sha"]] \
        and test["comment"] == f"s_len changed to {HASHES[group['sha']]}"


def vector(test, why):
    out = {"id": str(test["tcId"]), "comment": test["comment"], "text": part(bytes.fromhex(test["msg"])),
           "signature": part(bytes.fromhex(test["sig"])), "valid": test["result"] == "valid" and why is None}
    if test["result"] == "acceptable":
        why = "RFC 8017 §9.2: the parameters of the hash algorithm are NULL, not absent"
    if test["result"] != "invalid" and not out["valid"]:
        out |= {"elsewhere": test["result"], "why": why}
    return out


def main(directory):
    for name, alg in FILES.items():
        upstream = json.loads((directory / f"{name}_test.json").read_text())
        groups = []
        for group in upstream["testGroups"]:
            if group.get("sha") not in (*HASHES, None):
                continue  # JOSE has no such algorithm.
            of_group = f"PS{group['sha'][4:]}" if alg == "PS" else alg
            why = stricter(group)
            tests = [test for test in group["tests"] if not is_good_here(group, test)]
            groups.append({"jwks": {"keys": [jwk(group["publicKey"], of_group)]}, "alg": of_group,
                           "signatures": [vector(test, why) for test in tests]})
        document = {"source": f"Wycheproof, testvectors_v1/{name}_test.json", "license": "Apache-2.0",
                    "groups": groups}
        write(pathlib.Path(__file__).parent / "wycheproof" / f"{name}.json", document)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
