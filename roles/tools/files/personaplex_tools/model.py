"""Checks of the model: the token and its gate, the files, the voices."""

from __future__ import annotations

import hashlib
import os
import stat
import urllib.error
import urllib.request

from .fault import Fault, Settings, Unknown

AGAIN = "apply the playbook again"
VOICES = [f"{kind}{number}.pt" for kind, count in (("NATF", 4), ("NATM", 4), ("VARF", 5), ("VARM", 5)) for number in range(count)]


def env_file(s: Settings) -> str:
    """The settings file is there, readable by its owner alone, and holds a token. Gives the token."""
    try:
        status = os.stat(s.env_file)
    except FileNotFoundError:
        raise Fault(f"{s.env_file} is not there", "", AGAIN) from None
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise Fault(f"{s.env_file} may be read by others (mode {stat.S_IMODE(status.st_mode):04o})", "it holds the token",
                    f"make a new token, since this one was exposed, and {AGAIN}")
    try:
        with open(s.env_file) as file:
            found = dict(line.strip().partition("=")[::2] for line in file if "=" in line and line[0] != "#")
    except PermissionError:
        raise Unknown(f"only {s.owner} may read {s.env_file}") from None
    if s.model and not found.get("HF_TOKEN"):
        raise Fault(f"{s.env_file} holds no token", "HF_TOKEN is missing or empty", AGAIN)
    return found.get("HF_TOKEN", "")


def gate(s: Settings) -> None:
    """The hub gives files for this token: not the page and not whoami tell that, only a file does."""
    token = env_file(s)
    if not s.model:
        raise Unknown("the model was not asked for")
    url = f"{s.endpoint}/{s.repository}/resolve/{s.revision}/config.json"
    request = urllib.request.Request(url, method="HEAD", headers={"Authorization": f"Bearer {token}"})
    try:
        urllib.request.build_opener(_Stay).open(request, timeout=20).close()
    except urllib.error.HTTPError as error:
        if error.code == 401:
            raise Fault("the hub does not know the token (401)", "it was revoked, has expired, or was mistyped",
                        "make a new one with the right to read") from None
        if error.code == 403:
            raise Fault("the licence was not accepted for this token (403)", "or a fine-grained token lacks gated repositories",
                        f"accept it on {s.endpoint}/{s.repository}") from None
        if error.code >= 400:
            raise Fault(f"the hub answers {error.code} for {s.repository} at {s.revision[:12]}", "", "") from None
    except OSError as error:
        raise Unknown(f"the hub cannot be reached, which a running server does not need: {error}") from None


def files(s: Settings) -> None:
    """Every file of the model is in the cache, whole, and the one that was asked for."""
    if not s.model:
        raise Unknown("the model was not asked for")
    for one in s.files:
        path = f"{s.snapshot}/{one['name']}"
        if not os.path.exists(path):
            raise Fault(f"{one['name']} is not in the cache", path, AGAIN)
        if "sha256" in one and _sha256(path) != one["sha256"]:
            raise Fault(f"{one['name']} is not what the hub has ({os.path.getsize(path)} bytes)",
                        "it was cut short or altered; the server takes a file with missing tensors and answers with noise",
                        f"remove {os.path.realpath(path)}; {AGAIN}")
    try:
        with open(f"{s.cache}/refs/main") as file:
            meant = file.read().strip()
    except OSError:
        meant = "nothing"
    if meant != s.revision:
        raise Fault(f"`main` means {meant[:12]} in the cache, not {s.revision[:12]}", "", AGAIN)


def voices(s: Settings) -> None:
    """All 18 voices were unpacked. The server unpacks them once, and never again after it was interrupted."""
    if not s.model:
        raise Unknown("the model was not asked for")
    folder = f"{s.snapshot}/voices"
    have = set(os.listdir(folder)) if os.path.isdir(folder) else set()
    missing = [one for one in VOICES if one not in have or not os.path.getsize(f"{folder}/{one}")]
    if missing:
        raise Fault(f"{len(missing)} of 18 voices are missing: {', '.join(missing[:4])}", "unpacking was interrupted", AGAIN)


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect means that the file is given; the token must not follow it elsewhere."""

    def http_error_302(self, req: object, fp: object, code: int, msg: str, headers: object) -> object:
        return fp

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 22):
            digest.update(chunk)
    return digest.hexdigest()
