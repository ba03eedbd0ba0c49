"""OpenPGP keys: out of their armour, and their fingerprints, without any gpg on the host.

Source: RFC 4880 section 4.2 (packets), 6 (armour), 12.2 (fingerprints); RFC 9580 section 5.5.4 (version 6).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Iterator, List, Tuple

from personaplex_provision.agent.record import dataclass

_ARMOUR = re.compile(rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\s*?\n(.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)
_PRIMARY, _SUBKEY = 6, 14


@dataclass
class Key:
    """A key with its subkeys; fingerprints in upper-case hex."""

    fingerprint: str
    subkeys: List[str]


class NotAKey(ValueError):
    """The data is no OpenPGP key; its text says why."""


def dearmor(data: bytes) -> bytes:
    """The binary form of a key, armoured or not. Raises NotAKey."""
    blocks = _ARMOUR.findall(data.replace(b"\r\n", b"\n"))
    if not blocks:
        if not data or not data[0] & 0x80:
            raise NotAKey("it is neither an armoured key nor a binary one")
        return data
    return b"".join(_block(one) for one in blocks)


def keys(data: bytes) -> List[Key]:
    """The keys in a keyring, armoured or not. Raises NotAKey when there is none or it is damaged."""
    found: List[Key] = []
    for tag, body in _packets(dearmor(data)):
        if tag == _PRIMARY:
            found.append(Key(_fingerprint(body), []))
        elif tag == _SUBKEY and found:
            found[-1].subkeys.append(_fingerprint(body))
    if not found:
        raise NotAKey("there is no public key in it")
    return found


def normal(fingerprint: str) -> str:
    """A fingerprint as people write it, with spaces or colons or 0x, as upper-case hex."""
    return re.sub(r"[\s:]", "", fingerprint).upper().replace("0X", "", 1)


def _block(text: bytes) -> bytes:
    """The content of an armoured block, its checksum verified."""
    lines = [line.strip() for line in text.split(b"\n")]
    if b"" in lines:
        lines = lines[lines.index(b"") + 1 :]
    body = [line for line in lines if line and not line.startswith(b"=")]
    sums = [line for line in lines if len(line) == 5 and line.startswith(b"=")]
    try:
        data = base64.b64decode(b"".join(body), validate=True)
        wanted = int.from_bytes(base64.b64decode(sums[-1][1:]), "big") if sums else None
    except binascii.Error:
        raise NotAKey("its armour is damaged") from None
    if wanted is not None and _crc24(data) != wanted:
        raise NotAKey("its checksum is wrong: it was damaged on the way")
    return data


def _packets(data: bytes) -> Iterator[Tuple[int, bytes]]:
    """The packets of a key, as (tag, body)."""
    at = 0
    while at < len(data):
        first = data[at]
        at += 1
        if not first & 0x80:
            raise NotAKey(f"there is no packet where one should start (byte {at - 1})")
        if first & 0x40:
            tag = first & 0x3F
            body, at = _new_body(data, at)
        else:
            tag, kind = (first >> 2) & 0xF, first & 3
            size = len(data) - at if kind == 3 else int.from_bytes(data[at : at + (1 << kind)], "big")
            at += 0 if kind == 3 else 1 << kind
            body, at = data[at : at + size], at + size
        if at > len(data):
            raise NotAKey("it ends in the middle of a packet")
        yield tag, body


def _new_body(data: bytes, at: int) -> Tuple[bytes, int]:
    """The body of a packet of the new format, in parts or in one, and where it ends."""
    body = b""
    while True:
        if at >= len(data):
            raise NotAKey("it ends in the middle of a packet")
        size, more = data[at], False
        at += 1
        if 192 <= size < 224:
            size = ((size - 192) << 8) + data[at] + 192 if at < len(data) else 1 << 62
            at += 1
        elif size == 255:
            size = int.from_bytes(data[at : at + 4], "big")
            at += 4
        elif size >= 224:
            size, more = 1 << (size & 0x1F), True
        if at + size > len(data):
            raise NotAKey("it ends in the middle of a packet")
        body += data[at : at + size]
        at += size
        if not more:
            return body, at


def _fingerprint(body: bytes) -> str:
    version = body[0] if body else 0
    size = len(body)
    if version == 4:
        return hashlib.sha1(b"\x99" + size.to_bytes(2, "big") + body, usedforsecurity=False).hexdigest().upper()
    if version in (5, 6):
        start = b"\x9a" if version == 5 else b"\x9b"
        return hashlib.sha256(start + size.to_bytes(4, "big") + body).hexdigest().upper()
    raise NotAKey(f"it has a key of version {version}, which is too old to be trusted")


def _crc24(data: bytes) -> int:
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc & 0xFFFFFF
