"""Files of the controller that a task sends: `src` of copy, template, script, unarchive, and keys read from files."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from typing import Any

from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import Diagnostic, InvalidError, Position
from personaplex_provision.language.templates import Templar
from personaplex_provision.language.vault import is_vault
from personaplex_provision.planning.filecontent import LARGE, FileContent

_SEALED = b"$ANSIBLE_VAULT;"
SENDS = {"copy": "files", "template": "templates", "script": "files", "unarchive": "files", "assemble": "files"}
"Kinds whose `src` is on the controller, and the directory of a role it is looked for in."


@dataclass(frozen=True)
class Sent:
    """One file of a directory that is copied: its path below the directory, and its parameters."""

    relative: str
    directory: bool
    params: dict[str, Any]


def from_controller(kind: str, params: dict[str, Any]) -> bool:
    """Whether the task's `src` names something on the controller."""
    remote = str(params.get("remote_src", "")).lower() in ("true", "yes", "on", "1")
    source = params.get("src")
    if kind == "script":
        return bool(params.get("cmd")) and "content" not in params
    if kind == "unarchive" and source and "://" in str(source):
        return False
    return kind in SENDS and bool(source) and not remote


def load(kind: str, params: dict[str, Any], templar: Templar, position: Position | None, file: str) -> Any:
    """The parameters with `src` replaced by `content`; a list of `Sent` when a directory is copied.

    Raises MissingFileError, InvalidError, Pending.
    """
    if kind == "script":
        return _script(params, templar, position, file)
    source = str(params["src"])
    found = {key: value for key, value in params.items() if key != "src"}
    if kind == "template":
        found["content"] = templar.render_file(source, position)
        if str(params.get("mode", "")) == "preserve":
            found["mode"] = _mode_of(templar.find(source, SENDS[kind], beside=os.path.abspath(file)) or source)
        return _named(found, source.removesuffix(".j2"), params)
    beside = os.path.abspath(file)
    path = templar.find(source.rstrip("/") or "/", SENDS[kind], beside=beside)
    if path is None:
        raise templar.not_found(source, SENDS[kind], position)
    if os.path.isdir(path):
        if kind != "copy":
            raise InvalidError(Diagnostic(f"{kind} needs a file, and {source} is a directory", position=position))
        return list(_directory(path, source, found))
    found["content"] = read(path, templar, position)
    if kind == "copy" and str(params.get("mode", "")) == "preserve":
        found["mode"] = _mode_of(path)
    return _named(found, source, params) if kind == "copy" else found


def read(path: str, templar: Templar, position: Position | None) -> bytes | FileContent | Secret:
    """A file's content; one that is encrypted with ansible-vault is opened and is a secret."""
    try:
        data = _content(path)
    except OSError as error:
        raise InvalidError(Diagnostic(f"cannot read {path}: {error.strerror}", position=position)) from None
    if isinstance(data, bytes) and data.startswith(b"$ANSIBLE_VAULT;") and is_vault(data.decode("ascii", "replace")):
        opened = templar.keys(position).decrypt(data.decode("ascii", "replace"), Position(path))
        return Secret(opened.decode("utf-8", "surrogateescape"), os.path.basename(path))
    return data


def blobs_in(value: Any) -> list[str]:
    """Digests of the contents that parameters name, in wire form."""
    if isinstance(value, dict):
        if set(value) == {"$blob"}:
            return [str(value["$blob"][0])]
        value = list(value.values())
    if isinstance(value, list):
        return [sha256 for item in value for sha256 in blobs_in(item)]
    return []


def _content(path: str) -> bytes | FileContent:
    """The bytes of a file, or what stands for them when they are many. Raises OSError."""
    with open(path, "rb") as handle:
        if os.fstat(handle.fileno()).st_size <= LARGE:
            return handle.read()
        start = handle.read(len(_SEALED))
        return start + handle.read() if start == _SEALED else FileContent.of(path)


def _mode_of(path: str) -> str:
    return f"{stat.S_IMODE(os.stat(path).st_mode):04o}"


def _script(params: dict[str, Any], templar: Templar, position: Position | None, file: str) -> dict[str, Any]:
    """A script's text; its path is the first word of `cmd`, and its arguments follow."""
    try:
        source = shlex.split(str(params["cmd"]))[0]
    except (ValueError, IndexError):
        return params  # the kind itself says what is wrong with the words
    path = templar.find(source, SENDS["script"], beside=os.path.abspath(file))
    if path is None:
        raise templar.not_found(source, SENDS["script"], position)
    return {**params, "content": read(path, templar, position)}


def _named(found: dict[str, Any], source: str, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters with the name the file gets where `dest` turns out to be a directory."""
    return {**found, "basename": params.get("basename", os.path.basename(source))}


def _directory(path: str, source: str, params: dict[str, Any]) -> Iterator[Sent]:
    """`src: dir/` copies what is inside, `src: dir` the directory itself, as rsync has it."""
    base = "" if source.endswith("/") else os.path.basename(path)
    dest_key = "dest" if "dest" in params else "path"
    dest = str(params[dest_key]).rstrip("/")
    plain = {key: value for key, value in params.items() if key not in ("directory_mode", dest_key)}
    owners: dict[str, Any] = {key: params[key] for key in ("owner", "group") if key in params}
    for top, folders, files in os.walk(path):
        folders.sort()
        below = os.path.normpath(os.path.join(base, os.path.relpath(top, path)))
        below = "" if below == "." else below
        mode: dict[str, Any] = {"mode": params["directory_mode"]} if params.get("directory_mode") else {}
        yield Sent(below, True, {"path": os.path.join(dest, below).rstrip("/"), "state": "directory", **owners, **mode})
        for name in sorted(files):
            full = os.path.join(top, name)
            data = _content(full)
            own = dict(plain)
            if str(own.get("mode", "")) == "preserve":
                own["mode"] = _mode_of(full)
            yield Sent(os.path.join(below, name), False,
                       {**own, dest_key: os.path.join(dest, below, name), "content": data})
