"""A file of variables: a YAML or JSON mapping, perhaps encrypted as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from personaplex_provision.errors import Diagnostic, InvalidError, Position
from personaplex_provision.language.source import Mapping, Sequence, Text, load, read_text
from personaplex_provision.language.values import Secret

OpenText = Callable[[str, Position], str]
"Gives the plain text of an encrypted one; the position is for its errors."

_VAULT = "$ANSIBLE_VAULT;"


def load_vars_file(path: str, open_text: OpenText | None = None, position: Position | None = None) -> Mapping:
    """The variables in a file, empty when the file is; `position` is where the file was named.

    Texts of an encrypted file come as `Secret`, except those that hold a template (rendering makes those) and the
    `ansible_*` names that only say how to reach the host. Raises MissingFileError, and InvalidError for what is not a
    mapping or cannot be decrypted.
    """
    text = read_text(path, position)
    sealed = text.startswith(_VAULT)
    data = load_data(opened(text, path, open_text), path)
    if data is None:
        return Mapping(position=Position(path))
    if not isinstance(data, Mapping):
        found = "a list" if isinstance(data, list) else "text"
        summary = f"variables are a mapping, and this file holds {found}"
        raise InvalidError(Diagnostic(summary, "", _at(data, path), "name: value"))
    return _secret_values(data) if sealed else data


def opened(text: str, path: str, open_text: OpenText | None) -> str:
    """`text`, decrypted when it is a vault. Raises InvalidError."""
    if not text.startswith(_VAULT):
        return text
    if open_text is None:
        summary = f"{path} is encrypted, and no vault password was given"
        raise InvalidError(Diagnostic(summary, "", Position(path), "--vault-id or --vault-password-file"))
    return open_text(text, Position(path))


def load_data(text: str, path: str) -> Any:
    """A YAML or JSON document with positions. Raises InvalidError."""
    try:
        return load(text, path)
    except InvalidError:
        if text.lstrip()[:1] not in ("{", "["):
            raise
        try:  # JSON that is not YAML: indented with tabs, or with a key repeated
            return positioned(json.loads(text), Position(path))
        except ValueError:
            pass
        raise


def positioned(value: Any, position: Position) -> Any:
    """Plain data as the source's types, all of it at `position`."""
    if isinstance(value, dict):
        found = Mapping({str(key): positioned(one, position) for key, one in value.items()}, position=position)
        found.key_positions = dict.fromkeys(found, position)
        return found
    if isinstance(value, (list, tuple, set)):
        return Sequence([positioned(one, position) for one in value], position=position)
    if isinstance(value, str):
        text = Text(value)
        text.position = position
        return text
    return value


def _secret_values(values: Mapping) -> Mapping:
    """`values` with every text boxed, in place."""
    for name, value in values.items():
        if not _reaches(name):
            values[name] = _boxed(value, name)
    return values


def _boxed(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        for key, one in value.items():
            value[key] = _boxed(one, f"{name}.{key}")
    elif isinstance(value, Sequence):
        value[:] = [_boxed(one, f"{name}[{index}]") for index, one in enumerate(value)]
    elif isinstance(value, str) and value and not any(mark in value for mark in ("{{", "{%", "{#")):
        return Secret(str(value), name)
    return value


def _reaches(name: str) -> bool:
    """Whether a variable is part of a host's address: the connection reads it, and it is shown in messages."""
    return name.startswith("ansible_") and not any(word in name for word in ("pass", "secret", "token"))


def _at(data: Any, path: str) -> Position:
    found = getattr(data, "position", None)
    return found if isinstance(found, Position) else Position(path)
