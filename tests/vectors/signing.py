"""Keys and signatures, some of them wrong on purpose. Everything comes from a seed: the same run after run."""

import base64
import hashlib
import json
import random

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

CHANCE = random.Random("scopegate")
DIGEST_INFO = {  # RFC 8017 §9.2, note 1
    256: bytes.fromhex("3031300d060960864801650304020105000420"),
    384: bytes.fromhex("3041300d060960864801650304020205000430"),
    512: bytes.fromhex("3051300d060960864801650304020305000440"),
}


def part(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def octets(value, length=None):
    return value.to_bytes((value.bit_length() + 7) // 8 if length is None else length, "big")


def digest(bits, text):
    return hashlib.new(f"sha{bits}", text).digest()


def is_prime(n):
    if any(n % small == 0 for small in SMALL_PRIMES):
        return False
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(8):
        x = pow(CHANCE.randrange(2, n - 1), odd, n)
        if x not in (1, n - 1) and not any((x := x * x % n) == n - 1 for _ in range(twos - 1)):
            return False
    return True


SMALL_PRIMES = [n for n in range(3, 5000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2))]


def prime(bits, fraction):
    """A prime of about this fraction of 2 to the power of `bits`."""
    while not is_prime(candidate := int(fraction * (1 << 60)) << (bits - 60) | CHANCE.getrandbits(bits - 60) | 1):
        pass
    return candidate


class Rsa:
    def __init__(self, primes, e=65537):
        self.primes, self.n, totient = primes, 1, 1
        for p in primes:
            self.n, totient = self.n * p, totient * (p - 1)
        self.e, self.length = e, (self.n.bit_length() + 7) // 8
        # Even exponents have no inverse, and no signatures.
        self.d = pow(e, -1, totient) if e % 2 else 1

    def jwk(self, **members):
        return {"kty": "RSA", **members, "n": part(octets(self.n)), "e": part(octets(self.e))}

    def raw(self, message):
        """By the Chinese remainder theorem: prime by prime is much quicker."""
        message, signature, modulus = int.from_bytes(message, "big"), 0, 1
        for p in self.primes:
            remainder = pow(message % p, self.d % (p - 1), p)
            signature += modulus * ((remainder - signature) * pow(modulus, -1, p) % p)
            modulus *= p
        return octets(signature, self.length)

    def pkcs1(self, bits, text, info=None):
        """RFC 8017 §9.2; `info`: another DigestInfo."""
        info = DIGEST_INFO[bits] + digest(bits, text) if info is None else info
        return self.raw(b"\0\1" + b"\xff" * (self.length - 3 - len(info)) + b"\0" + info)

    def pss(self, bits, text, salt_length=None):
        """RFC 8017 §9.1.1"""
        salt = CHANCE.randbytes(bits // 8 if salt_length is None else salt_length)
        em_bits = self.n.bit_length() - 1
        length = (em_bits + 7) // 8
        h = digest(bits, bytes(8) + digest(bits, text) + salt)
        db = bytes(length - len(salt) - len(h) - 2) + b"\1" + salt
        counters = range(len(db) // len(h) + 1)
        mask = b"".join(digest(bits, h + octets(counter, 4)) for counter in counters)[:len(db)]
        masked = int.from_bytes(db, "big") ^ int.from_bytes(mask, "big")
        masked &= (1 << (em_bits - 8 * (len(h) + 1))) - 1
        return self.raw(octets(masked, len(db)) + h + b"\xbc")

    def sign(self, alg, text):
        bits = int(alg[2:])
        return self.pkcs1(bits, text) if alg.startswith("RS") else self.pss(bits, text)


class Ec:
    def __init__(self, bits, secret):
        self.bits, self.length = bits, bits // 8
        curve, self.order = {256: (ec.SECP256R1(), P256_ORDER), 384: (ec.SECP384R1(), P384_ORDER)}[bits]
        self.key = ec.derive_private_key(secret, curve)
        public = self.key.public_key().public_numbers()
        self.x, self.y = public.x, public.y

    def jwk(self, **members):
        x, y = part(octets(self.x, self.length)), part(octets(self.y, self.length))
        return {"kty": "EC", **members, "crv": f"P-{self.bits}", "x": x, "y": y}

    def der(self, text):
        hash_function = {256: hashes.SHA256(), 384: hashes.SHA384()}[self.bits]
        return self.key.sign(text, ec.ECDSA(hash_function, deterministic_signing=True))

    def numbers(self, text):
        return decode_dss_signature(self.der(text))

    def raw(self, r, s):
        return octets(r, self.length) + octets(s, self.length)

    def sign(self, _, text):
        return self.raw(*self.numbers(text))


class Ed:
    def __init__(self):
        self.key = ed25519.Ed25519PrivateKey.from_private_bytes(CHANCE.randbytes(32))

    def jwk(self, **members):
        x = part(self.key.public_key().public_bytes_raw())
        return {"kty": "OKP", **members, "crv": "Ed25519", "x": x}

    def sign(self, _, text):
        return self.key.sign(text)


P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P384_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
ED25519_ORDER = (1 << 252) + 27742317777372353535851937790883648493


def write(path, document):
    """One line for each signature, so that a change can be seen."""
    def line(value):
        return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    text = ["{"] + [f"  {line(key)}: {line(document[key])}," for key in document if key != "groups"] + ['  "groups": [']
    groups = []
    for group in document["groups"]:
        head = "".join(f"{line(key)}: {line(group[key])}, " for key in group if key != "signatures")
        signatures = ",\n".join(f"      {line(signature)}" for signature in group["signatures"])
        groups.append(f'    {{{head}"signatures": [\n{signatures}\n    ]}}')
    text += [",\n".join(groups), "  ]", "}", ""]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(text))
