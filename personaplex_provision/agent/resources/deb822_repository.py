"""The `deb822_repository` kind."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Literal, Tuple

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import Address, Change, Resource, ResourceError, Unpredictable, observed
from personaplex_provision.agent.resources import _openpgp as openpgp
from personaplex_provision.agent.resources._apt_command import update_lists
from personaplex_provision.agent.resources._apt_source import FOLDER, KEYRINGS, fetch_key, matches, verify

EXAMPLE = """
- name: NVIDIA's packages for WSL
  deb822_repository:
    name: cuda
    uris: "{{ cuda_repository }}/wsl-ubuntu/x86_64"
    suites: /
    signed_by: "{{ cuda_repository }}/wsl-ubuntu/x86_64/3bf863cc.pub"
    fingerprint: EB693B3035CD5710E231E123A4B469963BF863CC
    update_cache: true
"""

_KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----"


@dataclass
class Deb822Repository(Resource):
    """A package source in a file of its own, with the key that signs it.

    Rollback is exact: both files are put back as they were or removed. The lists fetched from the source stay in apt's
    cache until it is next updated.
    """

    kind = "deb822_repository"
    reversible_why = (
        "The source file and its key come back as they were, or go; lists that were fetched stay in apt's cache."
    )
    aliases = {"update-cache": "update_cache"}
    exclusive = ("apt-sources",)
    unmanaged = ("fingerprint", "update_cache", "install_python_debian")

    name: str
    "Name of the source; the file is named after it."
    types: list[str] = field(default_factory=lambda: ["deb"])
    "`deb`, `deb-src` or both."
    uris: list[str] | None = None
    "Addresses of the repository."
    suites: list[str] | None = None
    "Suites, or one directory that ends in a slash."
    components: list[str] | None = None
    "Components; none when the suite is a directory."
    architectures: list[str] | None = None
    "Architectures; all that the host has when left out."
    languages: list[str] | None = None
    "Languages of descriptions to fetch, or `none`."
    targets: list[str] | None = None
    "Which kinds of lists to fetch."
    signed_by: str | None = None
    "The signing key: its address, a path on the host, the armoured key itself, or the fingerprint of a trusted one."
    fingerprint: list[str] = field(default_factory=list)
    "Fingerprints that the key must have; any other key is refused. Spaces do not matter."
    enabled: bool | None = None
    "Whether the source is used."
    trusted: bool | None = None
    "Whether it is used without any signature (a risk)."
    by_hash: bool | None = None
    "Whether lists are fetched by their digests."
    pdiffs: bool | None = None
    "Whether lists are brought up to date by differences."
    check_valid_until: bool | None = None
    "Whether lists that are older than they say they may be are refused."
    check_date: bool | None = None
    "Whether lists from the future are refused."
    date_max_future: int | None = None
    "Seconds that the lists may be from the future."
    allow_insecure: bool | None = None
    "Whether a source that cannot be authenticated is used (a risk)."
    allow_weak: bool | None = None
    "Whether a source signed with a weak algorithm is used (a risk)."
    allow_downgrade_to_insecure: bool | None = None
    "Whether a source that once was signed may be without a signature (a risk)."
    inrelease_path: str | None = None
    "Where the InRelease file is, when not in its usual place."
    mode: str = "0644"
    "Mode of the file, as octal text."
    state: Literal["present", "absent"] = "present"
    "Whether the source should exist."
    update_cache: bool = False
    "Whether the lists of the source are fetched when it was changed."
    install_python_debian: bool = False
    "Accepted for playbooks that use it: nothing needs to be installed."
    text: str | None = observed()
    "What the file holds."
    key: str | None = observed()
    "`absent`, `good` or `another`: the key file."

    def validate(self) -> Iterator[str]:
        if not re.search(r"[A-Za-z0-9]", self.name):
            yield f'"{self.name}" has no letter to name a file after'
        if self.state == "present" and not (self.uris and self.suites):
            yield "a source needs uris and suites"
        for suite in self.suites or []:
            if suite.endswith("/") and self.components:
                yield f"the suite {suite} is a directory, which has no components"
            elif not suite.endswith("/") and self.suites and not self.components:
                yield f"the suite {suite} needs components (or a slash at its end when it is a directory)"
        for one in self.fingerprint:
            for part in one.split(","):
                if not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", openpgp.normal(part)):
                    yield f'"{part}" is not a whole fingerprint: 40 hex digits (short ids can be forged)'
        if self.fingerprint and not self.signed_by:
            yield "fingerprint says something about signed_by, which is not given"
        if not re.fullmatch(r"0?[0-7]{3}", self.mode):
            yield f'mode "{self.mode}" is not a mode: write it as "0644"'

    @property
    def path(self) -> str:
        """The file of the source."""
        return f"{FOLDER}/{self._slug}.sources"

    @property
    def key_path(self) -> str:
        """The file of the key, or nothing when it is on the host already."""
        if self._from_url:
            return f"{KEYRINGS}/{self._slug}.gpg"
        return f"{KEYRINGS}/{self._slug}.asc" if _KEY in (self.signed_by or "") else ""

    def observe(self, host: Host) -> Deb822Repository:
        entry = host.stat(self.path, follow=True)
        if entry.type != "file":
            return Deb822Repository(self.name, state="absent", key=self._key_state(host))
        now = Deb822Repository(self.name, mode=f"{entry.mode:04o}", text=host.read_text(self.path))
        now.key = self._key_state(host)
        return now

    def diff(self, now: Deb822Repository) -> List[Change]:
        if self.state == "absent":
            found = [] if now.state == "absent" else [Change("state", "present", "absent")]
            return found + ([Change("key", "there", "gone")] if now.key == "ours" else [])
        if now.state == "absent":
            found = [Change("state", "absent", "present")]
        else:
            found = [Change("source", now.text, self._text())] if now.text != self._text() else []
            if int(now.mode, 8) != int(self.mode, 8):
                found.append(Change("mode", now.mode, self.mode))
        if now.key in ("absent", "another"):
            asked = ", ".join(openpgp.normal(one) for one in self.fingerprint)
            found.append(Change("key", now.key, f"key {asked}" if asked else "the key of signed_by"))
        return found

    def preview(self, now: Deb822Repository, host: Host) -> Tuple[str, str]:
        return now.text or "", self._text() if self.state == "present" else ""

    def converge(self, now: Deb822Repository, host: Host) -> None:
        if self.state == "absent":
            for path in (self.path, f"{KEYRINGS}/{self._slug}.gpg", f"{KEYRINGS}/{self._slug}.asc"):
                if host.stat(path).exists:
                    host.remove(path)
            return
        if self.key_path and (now.key != "good" or now.text != self._text()):
            self._write_key(host)
        elif self.signed_by and self.signed_by.startswith("/") and now.key == "another":
            verify(self._read_key(host), self.fingerprint, self.signed_by)
        host.mkdir(FOLDER)
        host.write(self.path, self._text().encode(), mode=int(self.mode, 8))
        if self.update_cache and not host.planning and self.enabled is not False:
            update_lists(host, 60, self.path)

    def provides(self) -> List[Address]:
        return [("repository", self.name), ("path", self.path)] if self.state == "present" else []

    def needs(self) -> List[Address]:
        return [("path", self.signed_by)] if (self.signed_by or "").startswith("/") and self.signed_by else []

    def result(self, now: Any, after: Any, host: Host) -> Dict[str, Any]:
        return {"repo": after.text, "dest": self.path, "key_filename": self.key_path or None}

    @property
    def _slug(self) -> str:
        return re.sub(r"[^a-z0-9-]+", "", re.sub(r"[_\s]+", "-", self.name.lower()))

    @property
    def _from_url(self) -> bool:
        return (self.signed_by or "").startswith(("http://", "https://"))

    def _text(self) -> str:
        """The file, its fields in the order in which people write them."""
        signed = self.key_path or self.signed_by
        rows: List[Tuple[str, Any]] = [
            ("X-Repolib-Name", self.name), ("Enabled", self.enabled), ("Types", self.types), ("URIs", self.uris),
            ("Suites", self.suites), ("Components", self.components), ("Architectures", self.architectures),
            ("Languages", self.languages), ("Targets", self.targets), ("Signed-By", signed), ("Trusted", self.trusted),
            ("By-Hash", self.by_hash), ("PDiffs", self.pdiffs), ("Check-Valid-Until", self.check_valid_until),
            ("Check-Date", self.check_date), ("Date-Max-Future", self.date_max_future),
            ("Allow-Insecure", self.allow_insecure), ("Allow-Weak", self.allow_weak),
            ("Allow-Downgrade-To-Insecure", self.allow_downgrade_to_insecure), ("InRelease-Path", self.inrelease_path),
        ]
        # Where the key came from stands in the file, so that another address is seen as a change.
        head = f"# signing key: {self.signed_by}\n" if self._from_url else ""
        return head + "".join(f"{name}: {_value(value)}\n" for name, value in rows if value not in (None, []))

    def _key_state(self, host: Host) -> str | None:
        if self.state == "absent":
            paths = [f"{KEYRINGS}/{self._slug}.{suffix}" for suffix in ("gpg", "asc")]
            return "ours" if any(host.stat(path).exists for path in paths) else None
        path = self.key_path or ((self.signed_by or "") if (self.signed_by or "").startswith("/") else "")
        if not path or (path == self.signed_by and not self.fingerprint):
            return None
        if not host.stat(path, follow=True).exists:
            return "absent"
        try:
            if path.endswith(".asc") and self.key_path and host.read(path) != self._inline():
                return "another"
            return "good" if matches(host, path, self.fingerprint) else "another"
        except Unpredictable:
            return "good"

    def _inline(self) -> bytes:
        return (self.signed_by or "").strip().encode() + b"\n"

    def _write_key(self, host: Host) -> None:
        path = self.key_path
        host.mkdir(KEYRINGS)
        if not self._from_url:
            verify(self._inline(), self.fingerprint, "the key in signed_by")
            host.write(path, self._inline(), mode=0o644)
            return
        url = self.signed_by or ""
        if host.planning:
            # What the key holds is not known before it is fetched; that it will be there is.
            host.write(path, b"", mode=0o644)
            return
        data = fetch_key(host, url)
        verify(data, self.fingerprint, url)
        host.write(path, openpgp.dearmor(data), mode=0o644)

    def _read_key(self, host: Host) -> bytes:
        try:
            return host.read(self.signed_by or "")
        except FileNotFoundError:
            raise ResourceError(f"the signing key {self.signed_by} is not there") from None


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(value) if isinstance(value, list) else str(value)
