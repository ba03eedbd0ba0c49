"""Lookups that read files of the controller (`password` makes its file), and the web."""

from __future__ import annotations

import configparser
import csv
import os
import re
import secrets
import shlex
import string
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import Position
from personaplex_provision.language.boxes import Frame
from personaplex_provision.language.filters.hashes import password_hash
from personaplex_provision.language.filters.shacrypt import ALPHABET
from personaplex_provision.language.vault import is_vault

Options = dict[str, Any]


def content(path: str, frame: Frame, *, kind: str = "files") -> str | Secret:
    """A file's text; of one that is sealed by Ansible Vault, a secret. Raises MissingFileError, InvalidError."""
    found = frame.templar.find(path, kind)
    if found is None:
        raise frame.templar.not_found(path, kind)
    text = Path(found).read_bytes().decode("utf-8", "surrogateescape")
    if not is_vault(text):
        return text
    opened = frame.templar.keys(Position(found)).decrypt(text, Position(found))
    return Secret(opened.decode("utf-8", "surrogateescape"), os.path.basename(found))


def _file(terms: list[Any], options: Options, frame: Frame) -> list[Any]:
    found: list[Any] = []
    for path in terms:
        text = content(str(path), frame)
        name, raw = (text.name, text.reveal()) if isinstance(text, Secret) else ("", text)
        raw = raw.lstrip() if _is_on(options.get("lstrip", False)) else raw
        raw = raw.rstrip() if _is_on(options.get("rstrip", True)) else raw
        found.append(Secret(raw, name) if name else raw)
    return found


def _is_on(value: Any) -> bool:
    return str(value).lower() in ("true", "yes", "on", "1")


def _first_found(terms: list[Any], options: Options, frame: Frame) -> list[Any]:
    skip = _is_on(options.get("skip", False))
    wanted: list[str] = []
    for term in terms or [options]:
        for one in term if isinstance(term, (list, tuple)) else [term]:
            if isinstance(one, Mapping):
                skip = _is_on(one.get("skip", skip))
                folders = _words(one.get("paths")) or [""]
                wanted += [os.path.join(folder, file) for folder in folders for file in _words(one.get("files"))]
            else:
                folders = _words(options.get("paths")) or [""]
                wanted += [os.path.join(folder, str(one)) for folder in folders]
    for path in wanted:
        for kind in ("files", "templates", "vars", "tasks"):
            found = frame.templar.find(path, kind)
            if found is not None:
                return [found]
    if skip:
        return []
    raise ValueError(f"none of these files is there: {', '.join(wanted)}; `skip: true` accepts that")


def _words(value: Any) -> list[str]:
    if value is None:
        return []
    return re.split(r"[,;]\s*", value) if isinstance(value, str) else [str(one) for one in value]


def _ini(terms: list[Any], options: Options, frame: Frame) -> list[Any]:
    path = str(options.get("file", "ansible.ini"))
    text = content(path, frame)
    raw = text.reveal() if isinstance(text, Secret) else text
    section = str(options.get("section", "global"))
    if options.get("type", "ini") == "properties":
        section, raw = "java_properties", f"[java_properties]\n{raw}"
    bare = _is_on(options.get("allow_no_value", False))
    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=bare)
    if _is_on(options.get("case_sensitive", False)):
        parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(raw)
    found: list[Any] = []
    for term in terms:
        values: list[Any] = []
        if _is_on(options.get("re", False)):
            items = parser.items(section) if parser.has_section(section) else []
            values = [value for key, value in items if re.match(str(term), key)]
        elif parser.has_option(section, str(term)):
            values = [parser.get(section, str(term))]
        elif "default" in options:
            values = [options["default"]]
        else:
            values = [""]
        found += [Secret(one, f"{path}:{term}") for one in values] if isinstance(text, Secret) else values
    return found


def _csvfile(terms: list[Any], options: Options, frame: Frame) -> list[Any]:
    found: list[Any] = []
    for term in terms:
        words = shlex.split(str(term))
        own = {**options, **dict(word.split("=", 1) for word in words[1:])}
        text = content(str(own.get("file", "ansible.csv")), frame)
        raw = text.reveal() if isinstance(text, Secret) else text
        delimiter = str(own.get("delimiter", "\t"))
        delimiter = "\t" if delimiter in ("TAB", "\\t") else delimiter
        rows = csv.reader(raw.splitlines(), delimiter=delimiter)
        column, key = int(own.get("col", 1)), int(own.get("keycol", 0))
        row = next((row for row in rows if len(row) > key and row[key] == words[0]), None)
        value: Any = row[column] if row is not None and column < len(row) else own.get("default")
        if value is not None:
            found.append(Secret(value, words[0]) if isinstance(text, Secret) else value)
    return found


def _password(terms: list[Any], options: Options, frame: Frame) -> list[Any]:
    return [_one_password(str(term), options, frame) for term in terms]


def _one_password(term: str, options: Options, frame: Frame) -> Secret:
    words = shlex.split(term)
    own = {**options, **dict(word.split("=", 1) for word in words[1:])}
    base = frame.templar.search_path[-1] if frame.templar.search_path else ""
    path = os.path.join(base, os.path.expanduser(words[0]))
    name = f"password {os.path.basename(path)}"
    kept = path != "/dev/null" and os.path.exists(path)
    stored = Path(path).read_text(encoding="utf-8").rstrip("\n") if kept else ""
    password, _, salt = stored.partition(" salt=")
    changed = not password
    if changed:
        password = _random_password(int(own.get("length", 20)), own.get("chars"), own.get("seed"))
    encrypt = own.get("encrypt")
    if encrypt and not salt:
        salt = "".join(secrets.choice(ALPHABET) for _ in range(22 if "b" in str(encrypt)[:2] else 8))
        changed = True
    if changed and path != "/dev/null":
        _write_private(path, f"{password} salt={salt}\n" if encrypt else f"{password}\n")
    return Secret(password_hash(password, str(encrypt), salt=salt) if encrypt else password, name)


def _random_password(length: int, chars: Any, seed: Any) -> str:
    from random import Random

    alphabet = ""
    for one in _words(chars) or ["ascii_letters", "digits", ".,:-_"]:
        alphabet += getattr(string, one, one) if one.isidentifier() else one
    alphabet = "".join(dict.fromkeys(alphabet.replace(",,", ",")))
    if seed:
        chance = Random(seed)
        return "".join(chance.choice(alphabet) for _ in range(length))
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _write_private(path: str, text: str) -> None:
    folder = os.path.dirname(path) or "."
    os.makedirs(folder, mode=0o700, exist_ok=True)
    # mkstemp makes it 0600; a rename shows either no file or the whole one.
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".provision-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _url(terms: list[Any], options: Options, _frame: Frame) -> list[Any]:
    found: list[Any] = []
    for address in terms:
        if not str(address).startswith(("http://", "https://")):
            raise ValueError(f"{address} is not an http(s) address")
        from urllib.request import Request, urlopen  # slow to import, and few playbooks ask the network

        request = Request(str(address), headers=dict(options.get("headers") or {}))
        with urlopen(request, timeout=float(options.get("timeout", 10))) as answer:
            text = answer.read().decode("utf-8", "replace")
        found += text.splitlines() if _is_on(options.get("split_lines", True)) else [text]
    return found


LOOKUPS: dict[str, Any] = {
    "csvfile": _csvfile, "file": _file, "first_found": _first_found, "ini": _ini, "password": _password, "url": _url,
}
