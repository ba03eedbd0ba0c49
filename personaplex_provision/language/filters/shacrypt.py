"""SHA-crypt, the password hash of `/etc/shadow` (`$5$`, `$6$`), which no kept library offers.

Follows the public-domain specification "Unix crypt using SHA-256 and SHA-512" by Ulrich Drepper.
"""

from __future__ import annotations

import hashlib

ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX = {"sha256": "$5$", "sha512": "$6$"}
_IMPLICIT = 5000
# Which bytes of the digest make up each group of four characters, as the specification lists them.
_ORDER_256 = [(0, 10, 20), (21, 1, 11), (12, 22, 2), (3, 13, 23), (24, 4, 14), (15, 25, 5), (6, 16, 26), (27, 7, 17),
              (18, 28, 8), (9, 19, 29)]
_ORDER_512 = [(0, 21, 42), (22, 43, 1), (44, 2, 23), (3, 24, 45), (25, 46, 4), (47, 5, 26), (6, 27, 48), (28, 49, 7),
              (50, 8, 29), (9, 30, 51), (31, 52, 10), (53, 11, 32), (12, 33, 54), (34, 55, 13), (56, 14, 35),
              (15, 36, 57), (37, 58, 16), (59, 17, 38), (18, 39, 60), (40, 61, 19), (62, 20, 41)]


def sha_crypt(password: str, kind: str, salt: str, rounds: int) -> str:
    """The hash of `password`; `kind` is sha256 or sha512, `rounds` 1000 to 999,999,999."""
    rounds = min(max(int(rounds), 1000), 999_999_999)
    digest = _digest(password.encode("utf-8"), salt.encode("ascii"), kind, rounds)
    shown = "" if rounds == _IMPLICIT else f"rounds={rounds}$"
    return f"{_PREFIX[kind]}{shown}{salt}${_encode(digest)}"


def _digest(password: bytes, salt: bytes, kind: str, rounds: int) -> bytes:
    new = getattr(hashlib, kind)
    alternate = new(password + salt + password).digest()
    start = new(password + salt + _stretched(alternate, len(password)))
    length = len(password)
    while length:
        start.update(alternate if length & 1 else password)
        length >>= 1
    current: bytes = start.digest()
    word = _stretched(new(password * len(password)).digest(), len(password))
    grain = _stretched(new(salt * (16 + current[0])).digest(), len(salt))
    for number in range(rounds):
        mixed = (grain if number % 3 else b"") + (word if number % 7 else b"")
        current = new(word + mixed + current if number & 1 else current + mixed + word).digest()
    return current


def _stretched(block: bytes, length: int) -> bytes:
    return (block * (length // len(block) + 1))[:length]


def _encode(digest: bytes) -> str:
    triples = _ORDER_256 if len(digest) == 32 else _ORDER_512
    text = "".join(_characters(digest[a] << 16 | digest[b] << 8 | digest[c], 4) for a, b, c in triples)
    if len(digest) == 32:
        return text + _characters(digest[31] << 8 | digest[30], 3)
    return text + _characters(digest[63], 2)


def _characters(value: int, count: int) -> str:
    return "".join(ALPHABET[value >> 6 * index & 63] for index in range(count))
