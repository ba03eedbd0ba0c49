"""What is at a path, aspect by aspect, so that a later change of any of them is noticed."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import stat
from typing import Any, Callable, Dict, Iterator, Tuple

from personaplex_provision.agent.digests import sha256

Look = Dict[str, Any]
"""What is at a path without its content, by ASPECTS; one that does not apply (all but the type of nothing) is left out.
The content is the sha256 of a file, the target of a link, a digest of all that a whole tree holds."""

ASPECTS = ("type", "mode", "uid", "gid", "content", "xattrs")
"""The parts of a path that may each be changed by someone else."""

_FLEETING = "__pycache__"
_CHUNK = 1 << 20


def look(path: str, whole: bool = False, digest: Callable[[str], str] | None = None) -> Look:
    """What is at `path`; of a directory taken `whole` also a digest of names, modes, owners, sizes and times inside.

    `digest` is asked for that of a file.
    """
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return {"type": "absent"}
    found: Look = {"mode": stat.S_IMODE(status.st_mode), "uid": status.st_uid, "gid": status.st_gid}
    attributes = xattrs(path)
    if attributes:
        found["xattrs"] = _named(attributes)
    if stat.S_ISREG(status.st_mode):
        return {**found, "type": "file", "content": (digest or sha256_of)(path), "mtime_ns": status.st_mtime_ns}
    if stat.S_ISLNK(status.st_mode):
        return {**found, "type": "link", "content": os.readlink(path)}
    if not stat.S_ISDIR(status.st_mode):
        return {**found, "type": "other"}
    return {**found, "type": "directory", **({"content": _tree(path)} if whole else {})}


def look_of(image: Dict[str, Any]) -> Look:
    """What was there when the image was taken."""
    found: Look = {name: image[name] for name in ("mode", "uid", "gid") if name in image}
    if image.get("xattrs"):
        found["xattrs"] = _named(image["xattrs"])
    if image["type"] == "file":
        found.update(content=image["sha256"], mtime_ns=image["mtime_ns"])
    elif image["type"] == "link":
        found["content"] = image["target"]
    elif image["type"] == "tree":
        return {**found, "type": "directory", "content": _tree(image["aside"])}
    return {**found, "type": image["type"]}


def digest(path: str, whole: bool = False) -> str:
    """All that `look` tells in one short digest, as journals of earlier versions have it."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return "absent"
    found = sha256(f"{status.st_mode:o} {status.st_uid} {status.st_gid}".encode())
    if stat.S_ISLNK(status.st_mode):
        found.update(os.readlink(path).encode(errors="surrogateescape"))
    elif stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            for chunk in iter(lambda: file.read(1 << 20), b""):
                found.update(chunk)
    elif stat.S_ISDIR(status.st_mode) and whole:
        _inside(path, found)
    return found.hexdigest()[:32]


def _tree(path: str) -> str:
    found = sha256()
    _inside(path, found)
    return found.hexdigest()


def _inside(path: str, digest: Any) -> None:
    for top, folders, files in os.walk(path):
        folders[:] = sorted(one for one in folders if one != _FLEETING)
        for name in sorted([*folders, *files]):
            found = os.lstat(os.path.join(top, name))
            spread = 0 if stat.S_ISDIR(found.st_mode) else found.st_mtime_ns
            size = 0 if stat.S_ISDIR(found.st_mode) else found.st_size
            line = f"{top[len(path):]}/{name} {found.st_mode:o} {found.st_uid} {found.st_gid} {size} {spread}"
            digest.update(line.encode(errors="surrogateescape"))


def sha256_of(path: str) -> str:
    """The digest of a file's content."""
    return digest_of(path)[0]


def digest_of(path: str) -> Tuple[str, int]:
    """The digest and the size in bytes of a file's content. Raises as `chunks`."""
    found, size = None, 0
    for chunk in chunks(path):
        found = found or sha256(size=len(chunk))
        found.update(chunk)
        size += len(chunk)
    return (found or sha256()).hexdigest(), size


def chunks(path: str) -> Iterator[bytes]:
    """A file's content, piece by piece. Raises FileNotFoundError, IsADirectoryError, PermissionError.

    Without a file object: to make one takes longer than to read most of the files that there are.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        while True:
            chunk = os.read(fd, min(size + 1, _CHUNK) if size else _CHUNK)
            if not chunk:
                return
            yield chunk
            if size and len(chunk) == size:
                return
    except OSError as error:
        error.filename = error.filename or path
        raise
    finally:
        os.close(fd)


def _named(attributes: Dict[str, str]) -> str:
    return sha256(json.dumps(attributes, sort_keys=True).encode()).hexdigest()[:32]


def xattrs(path: str) -> Dict[str, str]:
    """Extended attributes, base64."""
    found = {}
    with contextlib.suppress(OSError):
        for name in os.listxattr(path, follow_symlinks=False):
            found[name] = base64.b64encode(os.getxattr(path, name, follow_symlinks=False)).decode()
    return found
