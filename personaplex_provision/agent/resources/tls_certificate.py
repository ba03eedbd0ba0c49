"""The `tls_certificate` kind."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Iterator, List, Literal, Optional, Tuple, Union

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.machine import Completed
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import Address, Change, ResourceError, observed
from personaplex_provision.agent.resources._attributes import (
    PathResource,
    apply_attributes,
    born_mode,
    check_mode,
    check_path,
    describe,
    group_id,
    need_parent,
    observe_attributes,
    path_needs,
    resolve_mode,
    user_id,
)

EXAMPLE = """
- name: a certificate for the service in the lab
  tls_certificate:
    path: /etc/inference/tls/cert.pem
    key_path: /etc/inference/tls/key.pem
    common_name: gpu1.lab
    subject_alt_names: ["DNS:gpu1.lab", "DNS:localhost", "IP:127.0.0.1"]
    owner: inference
"""

_NOT_KNOWN: Tuple[bytes, ...] = ()
"""Content while planning: pieces that are not known yet."""
_DATE = "%b %d %H:%M:%S %Y %Z"


@dataclass
class TlsCertificate(PathResource):
    """A certificate that signs itself, and its private key; renewed before it expires.

    The key never leaves the target and is never readable by others, not even while it is made. A key that is there is
    kept when only the certificate is renewed. Taken back exactly: both files are kept before they are changed.
    """

    kind = "tls_certificate"
    reversible_why = (
        "The key and the certificate that were there are kept before they are replaced, and come back as they were."
    )
    aliases = {"dest": "path", "certificate": "path", "privatekey": "key_path", "privatekey_path": "key_path"}
    unmanaged = ("days", "renew_before", "key_size")

    key_path: str = ""
    "Absolute path of the private key."
    common_name: str = "localhost"
    "The name in the certificate's subject."
    subject_alt_names: List[str] = field(default_factory=list)
    "Names and addresses it is for, like `DNS:localhost` and `IP:127.0.0.1`; the common name when left out."
    days: int = 365
    "How many days a new certificate is valid."
    renew_before: int = 30
    "How many days before it expires the certificate is made anew."
    key_type: Literal["rsa", "ec"] = "ec"
    "Kind of a new key: RSA, or an elliptic curve (P-256)."
    key_size: int = 3072
    "Size of a new RSA key in bits."
    key_mode: str = "0600"
    "Permission bits of the private key."
    problem: str = observed("")
    "Why the certificate has to be made."
    expires: str | None = observed()
    "When the certificate expires."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        yield from check_path("key_path", self.key_path)
        yield from check_mode("key_mode", self.key_mode)
        if not re.fullmatch(r"[\w.*@ -]{1,64}", self.common_name):
            yield f'common_name "{self.common_name}" has characters that do not belong in a name'
        for one in self.subject_alt_names:
            if not re.fullmatch(r"(DNS:|IP:|email:|URI:)?[\w.*:/@-]+", one):
                yield f'subject_alt_names: "{one}" is neither like DNS:name nor like IP:address'
        if self.days <= self.renew_before:
            yield f"renew_before {self.renew_before} must be less than the {self.days} days the certificate is valid"
        if self.path == self.key_path:
            yield "key_path must not be the path of the certificate"

    def observe(self, host: Host) -> TlsCertificate:
        path, key = host.expand(self.path), host.expand(self.key_path)
        entry, key_entry = host.stat(path), host.stat(key)
        now = TlsCertificate(self.path, key_path=self.key_path)
        now.problem = "there is none" if not entry.exists else "its key is missing" if not key_entry.exists else ""
        if not now.problem:
            now.problem, now.expires = self._examined(host, path, key)
        seen = observe_attributes(host, entry, self)
        now.owner, now.group, now.mode = seen.get("owner"), seen.get("group"), seen.get("mode")
        now.key_mode = _mode_in_words(host, key, self)
        return now

    def managed(self) -> List[str]:
        return ["owner", "group", "mode", "key_mode"]

    def diff(self, now: TlsCertificate) -> List[Change]:
        found = super().diff(now)
        if now.problem:
            names = ", ".join(self._names())
            found.insert(0, Change("certificate", now.problem, f"{self.common_name} ({names}), {self.days} days"))
        return found

    def action(self, now: TlsCertificate, changes: List[Change]) -> str:
        return "none" if not changes else "create" if now.problem == "there is none" else "update"

    def converge(self, now: TlsCertificate, host: Host) -> None:
        path, key = host.expand(self.path), host.expand(self.key_path)
        uid, gid = user_id(host, self.owner), group_id(host, self.group)
        data: Union[bytes, Tuple[bytes, ...]]
        if now.problem:
            need_parent(host, key)
            need_parent(host, path)
            if host.planning or self._public_key(host, key) is None:
                data = _NOT_KNOWN if host.planning else self._new_key(host)
                host.write(key, data, mode=born_mode(self.key_mode), uid=uid, gid=gid)
            data = _NOT_KNOWN if host.planning else self._new_certificate(host, key)
            mode = None if host.stat(path).exists else born_mode(self.mode or "0644")
            host.write(path, data, mode=mode, uid=uid, gid=gid)
        apply_attributes(host, key, self.owner, self.group, self.key_mode)
        apply_attributes(host, path, self.owner, self.group, self.mode)

    def provides(self) -> List[Address]:
        return [("path", self.path), ("path", self.key_path)]

    def needs(self) -> List[Address]:
        files = [*path_needs(self.path, self.owner, self.group), *path_needs(self.key_path, None, None)]
        return [*files, ("package", "openssl")]

    def result(self, now: TlsCertificate, after: TlsCertificate, host: Host) -> Dict[str, Any]:
        found = describe(host, host.expand(self.path))
        return {**found, "filename": found["path"], "privatekey": self.key_path, "expires": after.expires}

    def _names(self) -> List[str]:
        """What the certificate is for, as openssl is told."""
        return sorted({_alt_name(one) for one in self.subject_alt_names or [self.common_name]})

    def _examined(self, host: Host, path: str, key: str) -> Tuple[str, Optional[str]]:
        """Why the certificate will not do, and when it expires."""
        found = host.query(
            ["openssl", "x509", "-in", path, "-noout", "-subject", "-nameopt", "RFC2253", "-enddate", "-pubkey",
             "-ext", "subjectAltName"], reads=[path],
        )
        if found.rc != 0 and "notAfter=" not in found.stdout:
            return "it cannot be read", None
        public = re.search(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", found.stdout, re.DOTALL)
        ends = re.search(r"^notAfter=(.*)$", found.stdout, re.MULTILINE)
        if public is None or ends is None:
            return "it cannot be read", None
        expires = datetime.strptime(ends[1].strip(), _DATE).replace(tzinfo=timezone.utc)
        said = expires.isoformat()
        if public[0].strip() != self._public_key(host, key):
            return "its key is another one", said
        subject = re.search(r"^subject=\s*(.*)$", found.stdout, re.MULTILINE)
        if subject is None or f"CN={self.common_name}" not in subject[1].split(","):
            return "it is for another name", said
        listed = re.search(r"Subject Alternative Name:.*\n\s+(.*)", found.stdout)
        if sorted({_alt_name(one.strip()) for one in (listed[1].split(",") if listed else [])}) != self._names():
            return f"it is for {listed[1].strip() if listed else 'no names'}", said
        if expires - timedelta(days=self.renew_before) < datetime.now(timezone.utc):
            return f"it expires on {expires:%Y-%m-%d}", said
        return "", said

    def _public_key(self, host: Host, key: str) -> Optional[str]:
        """The public half of the private key, None when there is none that openssl reads."""
        if host.stat(key, follow=True).type != "file":
            return None
        found = host.query(["openssl", "pkey", "-in", key, "-pubout"], reads=[key])
        return found.stdout.strip() if found.rc == 0 else None

    def _new_key(self, host: Host) -> bytes:
        kind = ["RSA", "-pkeyopt", f"rsa_keygen_bits:{self.key_size}"]
        if self.key_type == "ec":
            kind = ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        return _said(host, ["openssl", "genpkey", "-algorithm", *kind])

    def _new_certificate(self, host: Host, key: str) -> bytes:
        config = (
            "[req]\ndistinguished_name = name\nx509_extensions = extensions\nprompt = no\n"
            f"[name]\nCN = {self.common_name}\n"
            f"[extensions]\nsubjectAltName = {','.join(self._names())}\nbasicConstraints = critical,CA:FALSE\n"
            "keyUsage = critical,digitalSignature,keyEncipherment\nextendedKeyUsage = serverAuth\n"
        )
        argv = ["openssl", "req", "-x509", "-new", "-sha256", "-key", key, "-days", str(self.days)]
        return _said(host, [*argv, "-config", "/dev/stdin"], config)


def _said(host: Host, argv: List[str], stdin: str = "") -> bytes:
    """What openssl writes to its output, which is a key and so is shown to nobody."""
    found: Completed = host.run(argv, stdin=stdin, check=False, on_line=_unheard)
    if found.rc != 0 or "-----BEGIN" not in found.stdout:
        raise ResourceError(f"openssl {argv[1]} exited with {found.rc}", found.stderr.strip())
    return found.stdout.encode()


def _unheard(line: str) -> None:
    del line


def _alt_name(name: str) -> str:
    """A name or address in one spelling, with its type in front."""
    kind, colon, rest = name.partition(":")
    if kind == "IP Address":
        kind = "IP"
    if not colon or kind not in ("DNS", "IP", "email", "URI"):
        kind, rest = "DNS", name
        with contextlib.suppress(ValueError):
            kind, rest = "IP", str(ipaddress.ip_address(name))
    return f"IP:{ipaddress.ip_address(rest)}" if kind == "IP" else f"{kind}:{rest}"


def _mode_in_words(host: Host, path: str, want: TlsCertificate) -> str:
    """The mode of the key, in the words of the task where those say the same."""
    entry = host.stat(path)
    if not entry.exists:
        return ""
    return want.key_mode if resolve_mode(want.key_mode, entry.mode) == entry.mode else f"{entry.mode:04o}"
