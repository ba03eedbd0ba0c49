"""The `check_certificate` kind."""

from __future__ import annotations

import ssl
from typing import Any, Dict, Iterator

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources import _tls
from personaplex_provision.agent.resources._check import Check, Matcher

EXAMPLE = """
- name: the certificate is for this host and lasts
  check_certificate:
    path: /opt/personaplex/tls/cert.pem
    key: /opt/personaplex/tls/key.pem
    names: {contains: localhost}
    days_left: {ge: 14}
"""


@dataclass
class CheckCertificate(Check):
    """A certificate in a file: for which names, until when, and whether a key belongs to it."""

    kind = "check_certificate"
    free_form = "path"
    matched = ("names", "days_left", "subject", "issuer", "self_signed")

    path: str
    "The certificate, PEM."
    key: str | None = None
    "The private key that must belong to it, PEM without a password."
    names: Matcher | None = None
    "Names and addresses it is for (subject alternative names)."
    days_left: Matcher | None = None
    "Days until it expires; negative once it has."
    subject: Matcher | None = None
    "Whom it is for, such as `commonName=localhost`."
    issuer: Matcher | None = None
    "Who signed it."
    self_signed: Matcher | None = None
    "Whether it signed itself."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        for name in ("path", "key"):
            value = getattr(self, name)
            if value is not None and not value.startswith(("/", "~")):
                yield f"{name} must be absolute"


    def title(self) -> str:
        return f"certificate {self.path}"

    def look(self, host: Host) -> Dict[str, Any]:
        path = host.expand(self.path)
        found = _tls.described_file(path)
        if self.key is not None:
            _pair(path, host.expand(self.key))
        return found

    def advice(self, field: str, found: Dict[str, Any]) -> str:
        return "apply the task that makes it: it is renewed" if field in ("days_left", "names") else ""


def _pair(path: str, key: str) -> None:
    """Raises ResourceError unless the key belongs to the certificate."""
    def asked() -> bytes:
        raise ResourceError(f"{key} is sealed with a password, which a server cannot type")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, key, password=asked)
    except FileNotFoundError:
        hint = "a server with half a pair falls back to plain HTTP"
        raise ResourceError(f"the key {key} does not exist", hint=hint) from None
    except PermissionError:
        hint = "run the check as root or as the server's user"
        raise ResourceError(f"the key {key} may not be read", hint=hint) from None
    except ssl.SSLError as error:
        raise ResourceError(f"the key {key} does not belong to {path}", str(error)) from None
