#!/usr/bin/env python3
"""Writes own/{rsa,ecdsa,ed25519}.json: bare signatures at the edges of what is one."""

import pathlib

from signing import CHANCE, ED25519_ORDER, Ec, Ed, Rsa, digest, octets, part, prime, write

TEXT = b"It is a riddle, wrapped in a mystery, inside an enigma."
HERE = pathlib.Path(__file__).parent


def group(comment, keys, alg, *signatures):
    """`signatures`: comment, signature, whether it is valid, and the text unless it is TEXT."""
    out = []
    for number, (words, signature, valid, *text) in enumerate(signatures, 1):
        vector = {"id": str(number), "comment": words, "text": part(text[0] if text else TEXT),
                  "signature": part(signature), "valid": valid is True}
        out.append(vector if isinstance(valid, bool) else vector | {"refused": valid})
    return {"comment": comment, "jwks": {"keys": keys if isinstance(keys, list) else [keys]}, "alg": alg,
            "signatures": out}


def texts():
    return (b"text %d" % number for number in range(1 << 20))


def rsa():
    key = Rsa([prime(1024, 0.76), prime(1024, 0.78)])
    n, size = key.n, key.length
    number = lambda signature: int.from_bytes(signature, "big")
    short = next(text for text in texts() if key.pkcs1(256, text)[0] == 0)
    low = next(text for text in texts() if number(key.pkcs1(256, text)) + n < 1 << 8 * size)
    good, zero, small = key.pkcs1(256, TEXT), key.pkcs1(256, short), key.pkcs1(256, low)
    sha256 = digest(256, TEXT)
    info = lambda octets_in_hex: bytes.fromhex(octets_in_hex) + sha256
    em = lambda padding, rest: key.raw(padding + rest)
    proper = bytes.fromhex("3031300d060960864801650304020105000420") + sha256
    yield group(
        "RSASSA-PKCS1-v1_5 (RFC 8017 §8.2.2)", key.jwk(alg="RS256"), "RS256",
        ("good", good, True),
        ("the value has a leading zero octet", zero, True, short),
        ("its leading zero is left out", zero[1:], False, short),
        ("one zero more in front", b"\0" + zero, False, short),
        ("a zero in front", b"\0" + good, False),
        ("a zero behind", good + b"\0", False),
        ("the last octet is missing", good[:-1], False),
        ("empty", b"", False),
        ("a value that could be increased by the modulus", small, True, low),
        ("increased by the modulus, of the same length", octets(number(small) + n, size), False, low),
        ("zero", bytes(size), False),
        ("one", octets(1, size), False),
        ("the modulus less one", octets(n - 1, size), False),
        ("the modulus", octets(n, size), False),
        ("all bits set", b"\xff" * size, False),
        ("the NULL of the hash algorithm is missing",
         key.pkcs1(256, TEXT, info("302f300b06096086480165030402010420")), False),
        ("a length in the long form", key.pkcs1(256, TEXT, info("308131300d060960864801650304020105000420")), False),
        ("the hash without its algorithm", key.pkcs1(256, TEXT, sha256), False),
        ("SHA-384 under RS256", key.pkcs1(384, TEXT), False),
        ("the name of SHA-384 on a hash of SHA-256",
         key.pkcs1(256, TEXT, info("3031300d060960864801650304020205000420")), False),
        ("octets behind the hash", em(b"\0\1" + b"\xff" * 8 + b"\0", proper + bytes(size - 11 - len(proper))), False),
        ("fewer octets of padding", em(b"\0\1" + b"\xff" * 8 + b"\0", bytes(size - 11 - len(proper)) + proper), False),
        ("padding of the type for encryption", em(b"\0\2" + b"\xff" * (size - 3 - len(proper)) + b"\0", proper), False),
        ("padding of zeros", em(b"\0\0" + bytes(size - 3 - len(proper)) + b"\0", proper), False),
        ("padding with another octet in it",
         em(b"\0\1" + b"\xff" * (size - 4 - len(proper)) + b"\xfe\0", proper), False),
        ("PS256 under RS256", key.pss(256, TEXT), False),
    )
    salty = next(text for text in texts() if key.pss(256, text)[0] == 0)
    pss = zero_pss = b"\xff" * size
    while zero_pss[0]:
        zero_pss = key.pss(256, salty)
    while number(pss) + n >= 1 << 8 * size:
        pss = key.pss(256, TEXT)
    yield group(
        "RSASSA-PSS (RFC 8017 §8.1.2)", key.jwk(alg="PS256"), "PS256",
        ("good", pss, True),
        ("increased by the modulus, of the same length", octets(number(pss) + n, size), False),
        ("the value has a leading zero octet", zero_pss, True, salty),
        ("its leading zero is left out", zero_pss[1:], False, salty),
        ("a zero in front", b"\0" + pss, False),
        ("no salt", key.pss(256, TEXT, 0), False),
        ("a salt one octet too short", key.pss(256, TEXT, 31), False),
        ("a salt one octet too long", key.pss(256, TEXT, 33), False),
        ("as much salt as there is room for", key.pss(256, TEXT, size - 34), False),
        ("PS384 under PS256", key.pss(384, TEXT), False),
        ("RS256 under PS256", good, False),
        ("empty", b"", False),
    )
    for alg in ("RS384", "RS512", "PS384", "PS512"):
        others = [other for other in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512") if other != alg]
        wrong = [(f"{other} under {alg}", key.sign(other, TEXT), False) for other in others]
        yield group(f"the key names no algorithm: {alg}", key.jwk(), alg, ("good", key.sign(alg, TEXT), True), *wrong)
    for alg in ("RS384", "PS256", "HS256", "none", "rs256", "RSA", "ES256"):
        reason = "algorithm" if alg in ("HS256", "none", "rs256", "RSA") else "key"
        yield group(f"{alg} with a key for RS256", key.jwk(alg="RS256"), alg, ("good for RS256", good, reason))

    # The lengths that are taken, 2048 to 8192 bits, and their neighbours. A modulus may have many factors.
    kilobits = [prime(1024, 0.9999) for _ in range(16)]
    for words, primes in {
        "1024 bits": [prime(512, 0.99), prime(512, 0.98)],
        "2040 bits": [prime(1020, 0.99), prime(1020, 0.98)],
        "2047 bits": [prime(1023, 0.99), prime(1024, 0.98)],
        "2048 bits": kilobits[:2],
        "2049 bits": [prime(1025, 0.99), kilobits[0]],
        "2050 bits": [prime(1026, 0.99), kilobits[0]],
        "2056 bits": [prime(1032, 0.99), kilobits[0]],
        "8191 bits": [*kilobits[:7], prime(1023, 0.99)],
        "8192 bits": kilobits[:8],
        "8193 bits": [*kilobits[:7], prime(1025, 0.99)],
        "16384 bits": kilobits,
    }.items():
        sized = Rsa(primes)
        bits = int(words.split()[0])
        assert sized.n.bit_length() == bits
        valid = True if 2048 <= bits <= 8192 else "key"
        # 1024 bits have no room for PS512.
        for alg in ("RS256", "RS512", "PS256", "PS384"):
            good_here = sized.sign(alg, TEXT)
            signatures = [("good", good_here, valid)]
            if valid is True:
                signatures += [("the last bit is another", good_here[:-1] + bytes([good_here[-1] ^ 1]), False)]
            yield group(words, sized.jwk(), alg, *signatures)
    for e, valid in {1: "key", 2: "key", 3: True, 4: "key", (1 << 32) + 1: True, (1 << 33) - 1: True, 65536: "key",
                     (1 << 33) + 1: "key", (1 << 64) + 1: "key"}.items():
        odd = Rsa([prime(1024, 0.77), prime(1024, 0.79)], 1)
        while e % 2 and odd.e != e:
            try:
                odd = Rsa([prime(1024, 0.77), prime(1024, 0.79)], e)
            except ValueError:
                pass  # No inverse: other primes.
        odd.e = e
        yield group(f"public exponent {e}", odd.jwk(), "RS256", ("good", odd.pkcs1(256, TEXT), valid))
    plain = key.jwk()
    huge = Rsa([prime(1024, 0.77), prime(1024, 0.79)])
    for words, jwk, valid in (
        ("zero octets in front of the modulus and the exponent",
         plain | {"n": part(b"\0" + octets(n)), "e": part(b"\0\1\0\1")}, True),
        ("an even modulus", plain | {"n": part(octets(n - 1))}, "key"),
        ("an exponent as large as the modulus", plain | {"e": part(octets(n))}, "key"),
        ("base64url with padding", plain | {"e": "AQAB===="}, "key"),
        ("base64 in the place of base64url", plain | {"n": plain["n"].replace("-", "+").replace("_", "/")}, "key"),
        ("no exponent", {"kty": "RSA", "n": plain["n"]}, "key"),
        ("the modulus of another key", huge.jwk(), False),
        ("the key is called EC", plain | {"kty": "EC"}, "key"),
        ("the key is called rsa", plain | {"kty": "rsa"}, "key"),
    ):
        yield group(words, jwk, "RS256", ("good for the proper key", good, valid))


def ecdsa(bits, alg):
    key = Ec(bits, CHANCE.getrandbits(bits - 8))
    n, size = key.order, key.length
    r, s = key.numbers(TEXT)
    raw = key.raw
    good = raw(r, s)
    zero_r = next(text for text in texts() if key.numbers(text)[0] >> 8 * (size - 1) == 0)
    zero_s = next(text for text in texts() if key.numbers(text)[1] >> 8 * (size - 1) == 0)
    edges = {"0": 0, "1": 1, "n - 1": n - 1, "n": n, "n + 1": n + 1, "all bits": (1 << bits) - 1}
    both = raw(*key.numbers(zero_r)), raw(*key.numbers(zero_s))
    yield group(
        f"ECDSA on P-{bits} (RFC 7518 §3.4)", key.jwk(alg=alg), alg,
        ("good", good, True),
        ("s is the other one of two", raw(r, n - s), True),
        ("r has a leading zero octet", both[0], True, zero_r),
        ("s has a leading zero octet", both[1], True, zero_s),
        ("the leading zero of r is left out", both[0][1:], False, zero_r),
        ("the leading zero of s is left out", both[1][:size] + both[1][size + 1:], False, zero_s),
        ("both are one octet longer", b"\0" + good[:size] + b"\0" + good[size:], False),
        ("in DER", key.der(TEXT), False),
        ("s and r", raw(s, r), False),
        ("r only", good[:size], False),
        ("an octet behind", good + b"\0", False),
        ("an octet in front", b"\0" + good, False),
        ("empty", b"", False),
        ("of another text", key.sign(alg, b"another text"), False),
        *((f"r = {rw}, s = {sw}", raw(rv, sv), False) for rw, rv in edges.items() for sw, sv in edges.items()),
        ("r is good, s is 0", raw(r, 0), False),
        ("r is good, s is n", raw(r, n), False),
        ("r is 0, s is good", raw(0, s), False),
        ("r is n, s is good", raw(n, s), False),
    )
    coordinates = lambda x, y: {"x": part(x), "y": part(y)}
    x, y = octets(key.x, size), octets(key.y, size)
    field = {256: 2**256 - 2**224 + 2**192 + 2**96 - 1, 384: 2**384 - 2**128 - 2**96 + 2**32 - 1}[bits]
    short = Ec(bits, next(d for d in range(2, 1 << 20) if Ec(bits, d).x >> 8 * (size - 1) == 0))
    signed = short.sign(alg, TEXT)
    for words, jwk, signature, valid in (
        ("x has a leading zero octet", short.jwk(), signed, True),
        ("the leading zero of x is left out", short.jwk() | {"x": part(octets(short.x))}, signed, "key"),
        ("the coordinates are one octet longer", key.jwk() | coordinates(b"\0" + x, b"\0" + y), good, "key"),
        ("x is larger than the prime of the curve", key.jwk() | coordinates(octets(2**bits - 1), y), good, "key"),
        ("a point that is not on the curve", key.jwk() | coordinates(x, octets(key.y ^ 1, size)), good, "key"),
        ("the point 0, 0", key.jwk() | coordinates(bytes(size), bytes(size)), good, "key"),
        ("the negative point", key.jwk() | coordinates(x, octets(field - key.y, size)), good, False),
        ("no y", {name: value for name, value in key.jwk().items() if name != "y"}, good, "key"),
        ("the curve has another name", key.jwk() | {"crv": f"secp{bits}r1"}, good, "key"),
        ("the other curve", key.jwk() | {"crv": f"P-{640 - bits}"}, good, "key"),
        ("the curve of Bitcoin", key.jwk() | {"crv": "secp256k1"}, good, "key"),
        ("a key of another", Ec(bits, 7).jwk(), good, False),
    ):
        yield group(words, jwk, alg, ("good for the proper key", signature, valid))
    for other in ("ES256", "ES384", "ES512", "ES256K", "RS256", "EdDSA"):
        if other != alg:
            reason = "algorithm" if other in ("ES512", "ES256K") else "key"
            yield group(f"{other} with a key on P-{bits}", key.jwk(), other, (f"good for {alg}", good, reason))


def ed25519():
    key = Ed()
    good = key.sign(None, TEXT)
    s = int.from_bytes(good[32:], "little")
    yield group(
        "Ed25519 (RFC 8032 §5.1.7)", key.jwk(alg="EdDSA"), "EdDSA",
        ("good", good, True),
        ("S is increased by the order of the group", good[:32] + (s + ED25519_ORDER).to_bytes(32, "little"), False),
        ("S is 0", good[:32] + bytes(32), False),
        ("R is 0", bytes(32) + good[32:], False),
        ("S and R", good[32:] + good[:32], False),
        ("the last octet is missing", good[:-1], False),
        ("an octet behind", good + b"\0", False),
        ("empty", b"", False),
        ("of another text", key.sign(None, b"another text"), False),
    )
    # With a key of small order a signature can be good for every text.
    neutral = b"\1" + bytes(31)
    weak = {"the neutral point": neutral, "a point of order 2": b"\xec" + b"\xff" * 30 + b"\x7f",
            "a point of order 4": bytes(32),
            "the neutral point in other words": b"\xee" + b"\xff" * 30 + b"\x7f"}
    for words, point in weak.items():
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": part(point)}
        yield group(words, jwk, "EdDSA", ("R is the neutral point, S is 0", neutral + bytes(32), "key"))
    for words, jwk, reason in (
        ("a key that is too short", key.jwk() | {"x": part(bytes(31))}, "key"),
        ("the curve Ed448", key.jwk() | {"crv": "Ed448"}, "key"),
        ("the curve X25519", key.jwk() | {"crv": "X25519"}, "key"),
        ("the key is called EC", key.jwk() | {"kty": "EC"}, "key"),
    ):
        yield group(words, jwk, "EdDSA", ("good for the proper key", good, reason))


if __name__ == "__main__":
    files = {"rsa": [*rsa()], "ecdsa": [*ecdsa(256, "ES256"), *ecdsa(384, "ES384")], "ed25519": [*ed25519()]}
    for name, groups in files.items():
        write(HERE / "own" / f"{name}.json", {"source": "tests/vectors/bare.py", "groups": groups})
