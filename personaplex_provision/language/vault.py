"""Ansible Vault's format, both ways, and where its passwords come from.

    $ANSIBLE_VAULT;1.1;AES256            or  $ANSIBLE_VAULT;1.2;AES256;label
    hex of: hex salt, newline, hex HMAC, newline, hex ciphertext; 80 characters a line

Keys are PBKDF2-SHA256 of the password, 10,000 rounds; AES-256-CTR; HMAC-SHA256 over the ciphertext.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from binascii import Error as HexError
from binascii import hexlify, unhexlify
from collections.abc import Iterable
from typing import TYPE_CHECKING

from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import Diagnostic, InvalidError, Position

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.modes import CTR
    from cryptography.hazmat.primitives.padding import PKCS7

HEADER = "$ANSIBLE_VAULT"
DEFAULT = "default"
"""The label of a password given without one."""
_ROUNDS = 10_000
_LINE = 80


class VaultKeys:
    """Vault passwords by label, in the order they were given. `vault_sources.load_keys` makes them."""

    def __init__(self, passwords: Iterable[tuple[str, Secret | str]] = ()) -> None:
        self.passwords: list[tuple[str, Secret]] = [
            (label or DEFAULT, one if isinstance(one, Secret) else Secret(one, "vault password"))
            for label, one in passwords
        ]
        self._opened: dict[str, bytes] = {}

    def __bool__(self) -> bool:
        return bool(self.passwords)

    def __repr__(self) -> str:
        return f"<vault passwords: {', '.join(self.labels) or 'none'}>"

    @property
    def labels(self) -> list[str]:
        """The labels, as often as they were given."""
        return [label for label, _ in self.passwords]

    def decrypt(self, text: str, position: Position | None = None) -> bytes:
        """What is sealed in `text`; passwords of its label are tried first, then the others. Raises InvalidError."""
        if text not in self._opened:
            self._opened[text] = self._decrypt(text, position)
        return self._opened[text]

    def opener(self, text: str, position: Position | None = None) -> tuple[str, Secret]:
        """The label and password that open `text`. Raises InvalidError."""
        envelope = _Envelope(text, position)
        for label, password in sorted(self.passwords, key=lambda one: one[0] != envelope.label):
            if envelope.opens(password.reveal()):
                return label, password
        raise InvalidError(self._refusal(envelope, position))

    def _decrypt(self, text: str, position: Position | None) -> bytes:
        _, password = self.opener(text, position)
        return _Envelope(text, position).open(password.reveal())

    def _refusal(self, envelope: _Envelope, position: Position | None) -> Diagnostic:
        what = f"{position.file}" if position else "this value"
        sealed = f'it is sealed for the vault id "{envelope.label}"' if envelope.label else "it names no vault id"
        if not self.passwords:
            hint = "give --vault-password-file, --vault-id or -J"
            return Diagnostic(f"{what} is encrypted and no vault password was given", sealed, position, hint)
        tried = ", ".join(dict.fromkeys(self.labels))
        hint = "check the password; a password file must hold it alone"
        if envelope.label and envelope.label not in self.labels:
            hint = f"give the password of that id: --vault-id {envelope.label}@prompt or {envelope.label}@FILE"
        return Diagnostic(f"no vault password opens {what}", f"{sealed}; ids tried: {tried}", position, hint)


def is_vault(text: str) -> bool:
    """Whether `text` is sealed by Ansible Vault."""
    return text.lstrip().startswith(HEADER + ";")


def encrypt(data: bytes, password: Secret | str, label: str = "") -> str:
    """`data` sealed with `password`; format 1.2 with a label, 1.1 without or with `default`. Ends in a newline."""
    secret = password.reveal() if isinstance(password, Secret) else password
    salt = os.urandom(32)
    cipher_key, hmac_key, counter = _derive(secret, salt)
    cipher, padding = _cipher(cipher_key, counter)
    padder, encryptor = padding.padder(), cipher.encryptor()
    sealed = encryptor.update(padder.update(data) + padder.finalize()) + encryptor.finalize()
    digest = hmac.new(hmac_key, sealed, hashlib.sha256).hexdigest().encode()
    payload = hexlify(b"\n".join((hexlify(salt), digest, hexlify(sealed)))).decode("ascii")
    head = f"{HEADER};1.2;AES256;{label}" if label and label != DEFAULT else f"{HEADER};1.1;AES256"
    return "\n".join([head, *(payload[at : at + _LINE] for at in range(0, len(payload), _LINE))]) + "\n"


def decrypt(text: str, keys: VaultKeys, position: Position | None = None) -> bytes:
    """What is sealed in `text`. Raises InvalidError naming the file, the ids tried and what to do."""
    return keys.decrypt(text, position)


class _Envelope:
    """The parts of a sealed text."""

    def __init__(self, text: str, position: Position | None) -> None:
        self.position = position
        lines = text.strip().splitlines()
        head = lines[0].strip().split(";") if lines else [""]
        if head[0] != HEADER or len(head) < 3:
            raise self._broken("it does not start with $ANSIBLE_VAULT;1.1;AES256")
        if head[1] not in ("1.1", "1.2"):
            raise self._broken(f"format {head[1]} is not supported; rekey it with a current ansible-vault")
        if head[2] != "AES256":
            raise self._broken(f"the cipher {head[2]} is not supported, only AES256 is")
        self.label = head[3].strip() if len(head) > 3 else ""
        try:
            parts = unhexlify("".join(line.strip() for line in lines[1:])).split(b"\n", 2)
            self.salt, self.digest, self.sealed = (unhexlify(part) for part in parts)
        except (HexError, ValueError):
            raise self._broken("the text after the first line is cut off or changed") from None

    def _broken(self, why: str) -> InvalidError:
        return InvalidError(Diagnostic("this is not a valid vault", why, self.position))

    def opens(self, password: str) -> bool:
        _, hmac_key, _ = _derive(password, self.salt)
        return hmac.compare_digest(hmac.new(hmac_key, self.sealed, hashlib.sha256).digest(), self.digest)

    def open(self, password: str) -> bytes:
        cipher_key, _, counter = _derive(password, self.salt)
        cipher, padding = _cipher(cipher_key, counter)
        decryptor, unpadder = cipher.decryptor(), padding.unpadder()
        try:
            return unpadder.update(decryptor.update(self.sealed) + decryptor.finalize()) + unpadder.finalize()
        except ValueError:
            raise self._broken("its padding is wrong") from None


def _cipher(key: bytes, counter: bytes) -> tuple[Cipher[CTR], PKCS7]:
    from cryptography.hazmat.primitives.ciphers import Cipher  # here: most runs open no vault
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CTR
    from cryptography.hazmat.primitives.padding import PKCS7

    return Cipher(AES(key), CTR(counter)), PKCS7(AES.block_size)


def _derive(password: str, salt: bytes) -> tuple[bytes, bytes, bytes]:
    """The cipher's key, the HMAC's key and the first counter block."""
    derived = hashlib.pbkdf2_hmac("sha256", password.encode("utf-8", "surrogateescape"), salt, _ROUNDS, 80)
    return derived[:32], derived[32:64], derived[64:]
