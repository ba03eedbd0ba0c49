"""The archive of a bug report: bounded texts without secrets, and a manifest of them."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import time
from collections.abc import Iterable
from typing import Any

from personaplex_provision import __version__
from personaplex_provision.agent.redact import Redactor
from personaplex_provision.agent.values import Secret

FILE_LIMIT = 256 * 1024
"""Bytes of one file; of what is longer the end is kept."""
TOTAL_LIMIT = 4 * 1024 * 1024
"""Bytes of all files together, before they are packed."""
_SHAPES = (
    (re.compile(r"\bhf_[A-Za-z0-9_]{6,}"), "hf_(redacted)"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), r"\1 (redacted)"),
    (re.compile(r"(?i)((?:token|password|passwd|secret|api_?key)[\w-]{0,32}\"?\s{0,8}[=:]\s{0,8}\"?)[^\s\"',}]+"),
     r"\1(redacted)"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
     "(private key redacted)"),
    (re.compile(r"(://)[^\s/@:]{1,200}:[^\s/@]{1,200}@"), r"\1(redacted)@"),
)
"What looks like a secret, whoever wrote it, and what stands there instead."


def clean(text: str, secrets: Iterable[str]) -> str:
    """The text without the values of secrets and without what looks like one."""
    known = [Secret(value, "redacted") for value in secrets if len(value) >= 4]
    if known:
        text = Redactor(known).text(text)
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return text


def write(path: str, files: dict[str, str], secrets: Iterable[str], about: dict[str, Any]) -> dict[str, Any]:
    """Writes the archive, mode 0600, and returns its manifest. Raises OSError.

    `about` is what the manifest says of the whole. Files that no longer fit are named in it, and left out.
    """
    import os

    values, listed, left = list(secrets), [], TOTAL_LIMIT
    made = time.time()
    opener = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(opener, "wb") as target, tarfile.open(fileobj=target, mode="w:gz") as archive:

        def add(name: str, data: bytes) -> None:
            entry = tarfile.TarInfo(f"bundle/{name}")
            entry.size, entry.mtime, entry.mode = len(data), int(made), 0o600
            archive.addfile(entry, io.BytesIO(data))

        for name, text in sorted(files.items()):
            # Redacted first: a cut could leave half of a secret, which nothing recognises.
            data = clean(text, values).encode("utf-8", "replace")
            kept = data[-FILE_LIMIT:]
            row: dict[str, Any] = {"name": name, "bytes": len(data), "sha256": hashlib.sha256(kept).hexdigest()}
            if len(kept) > left:
                listed.append({**row, "left_out": "the bundle is full"})
                continue
            if len(kept) < len(data):
                row["kept"] = f"the last {len(kept)} bytes"
            left -= len(kept)
            listed.append(row)
            add(name, kept)
        manifest = {"schema": 1, "provision": __version__, "made": round(made, 3), **about, "files": listed}
        add("manifest.json", clean(json.dumps(manifest, indent=2, default=str), values).encode())
    return manifest
