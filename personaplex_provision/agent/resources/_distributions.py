"""The distributions installed for a Python, read from their metadata without starting anything."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import ResourceError, Unpredictable
from personaplex_provision.agent.resources._requirement import canonical

_NOTE = "provision.json"
"""In the folder of a distribution that was installed from a directory: the digest of what the directory held."""
LEFT_OUT = frozenset({".git", ".hg", ".svn", "__pycache__", "build", ".tox", ".venv", "node_modules", ".mypy_cache"})
"Names in a project's directory that are no part of what gets installed."


@dataclass(frozen=True)
class Distribution:
    """One installed distribution; `direct` is its `direct_url.json` (PEP 610), `source` the digest of its directory."""

    name: str
    version: str
    folder: str
    requires: Tuple[str, ...] = ()
    direct: Dict[str, Any] = field(default_factory=dict)
    source: str = ""

    @property
    def editable(self) -> bool:
        """Whether it is used where it lies."""
        return bool(self.direct.get("dir_info", {}).get("editable"))

    @property
    def path(self) -> str:
        """The local directory or archive it was installed from, or nothing."""
        url = str(self.direct.get("url", ""))
        return os.path.normpath(url[len("file://") :]) if url.startswith("file://") else ""


def read_all(host: Host, sites: Sequence[str]) -> Dict[str, Distribution]:
    """What is installed, by canonical name; the first folder wins, as on `sys.path`."""
    found: Dict[str, Distribution] = {}
    for site in sites:
        for name in host.list(site):
            one = _read(host, site, name)
            if one is not None:
                found.setdefault(canonical(one.name), one)
    return found


def source_digest(host: Host, path: str) -> str:
    """A digest of all files of a project. Raises ResourceError when it is not there, while planning Unpredictable."""
    if host.stat(path, follow=True).type != "directory":
        if host.planning:
            raise Unpredictable(f"{path} is not there yet")
        raise ResourceError(f"{path}, which is to be installed, is not there", hint="add the task that brings it")
    digest = hashlib.sha256()
    for relative, full in _files(host, path, ""):
        entry = host.stat(full)
        content = entry.target if entry.type == "link" else host.digest(full).sha256
        digest.update(f"{relative}\0{entry.mode & 0o100:o}\0{content}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def files_of(host: Host, one: Distribution) -> List[str]:
    """Absolute paths of the files that a distribution installed, as its RECORD lists them."""
    try:
        text = host.read_text(f"{one.folder}/RECORD")
    except OSError:
        return []
    site = os.path.dirname(one.folder)
    return [os.path.normpath(os.path.join(site, row[0])) for row in csv.reader(io.StringIO(text)) if row]


def remember_source(host: Host, one: Distribution, path: str, digest: str) -> None:
    """Notes in an installed distribution which directory it came from and what that held."""
    direct = json.dumps({"dir_info": {}, "url": f"file://{path}"}, sort_keys=True).encode()
    note = json.dumps({"source": digest}).encode()
    host.write(f"{one.folder}/direct_url.json", direct)
    host.write(f"{one.folder}/{_NOTE}", note)
    base = os.path.basename(one.folder)
    rows = [
        row for row in csv.reader(io.StringIO(host.read_text(f"{one.folder}/RECORD")))
        if row and row[0] not in (f"{base}/direct_url.json", f"{base}/{_NOTE}")
    ]
    for name, data in (("direct_url.json", direct), (_NOTE, note)):
        mark = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append([f"{base}/{name}", f"sha256={mark}", str(len(data))])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    host.write(f"{one.folder}/RECORD", text.getvalue().encode("utf-8", "surrogateescape"))


def _files(host: Host, path: str, below: str) -> Iterator[Tuple[str, str]]:
    for name in host.list(path):
        if name in LEFT_OUT or name.endswith((".egg-info", ".pyc")):
            continue
        full, relative = f"{path}/{name}", f"{below}{name}"
        kind = host.stat(full).type
        if kind == "directory":
            yield from _files(host, full, f"{relative}/")
        elif kind in ("file", "link"):
            yield relative, full


def _read(host: Host, site: str, name: str) -> Distribution | None:
    folder = f"{site}/{name}"
    if name.endswith(".dist-info"):
        return _described(host, folder, f"{folder}/METADATA")
    if name.endswith(".egg-info"):
        inside = host.stat(folder).type == "directory"
        return _described(host, folder, f"{folder}/PKG-INFO" if inside else folder)
    if name.endswith(".egg-link"):
        path = host.read_text(folder).splitlines()[0].strip()
        named = name[: -len(".egg-link")]
        found = _described(host, folder, f"{path}/{named.replace('-', '_')}.egg-info/PKG-INFO")
        direct = {"url": f"file://{path}", "dir_info": {"editable": True}}
        return Distribution(found.name, found.version, folder, found.requires, direct) if found else None
    return None


def _described(host: Host, folder: str, metadata: str) -> Distribution | None:
    try:
        text = host.read_text(metadata)
    except OSError:
        return None
    fields: Dict[str, List[str]] = {}
    for line in text.splitlines():
        if not line.strip():
            break
        key, _, value = line.partition(":")
        if not line[0].isspace():
            fields.setdefault(key.strip().lower(), []).append(value.strip())
    if "name" not in fields or "version" not in fields:
        return None
    return Distribution(
        fields["name"][0], fields["version"][0], folder, tuple(fields.get("requires-dist", ())),
        _json(host, f"{folder}/direct_url.json"), str(_json(host, f"{folder}/{_NOTE}").get("source", "")),
    )


def _json(host: Host, path: str) -> Dict[str, Any]:
    try:
        found = json.loads(host.read_text(path))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
