"""YAML in which every node knows where it was written.

Mappings and sequences are `dict` and `list` with a `position` and the positions of what they hold. Scalars are
plain Python values, except that text and numbers keep where and how they were written: `Text`, `Int`, `Float`.
Booleans are YAML 1.1's (`yes no on off true false`), as in Ansible; timestamps and sexagesimal numbers stay text.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from personaplex_provision.errors import InvalidError, MissingFileError, Position, ProvisionError, suggestion
from personaplex_provision.language.patterns_later import patterns_later

with patterns_later():
    import yaml
    from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Text(str):
    """Text with the position of its first character; `block` tells a `|` or `>` scalar."""

    position: Position
    block: bool = False
    quoted: bool = False


class Int(int):
    """A whole number that prints as it was written (`0644`, `1_000`)."""

    position: Position
    text: str = ""

    def __str__(self) -> str:
        return self.text or int.__repr__(self)

    def __format__(self, spec: str) -> str:
        return format(int(self), spec) if spec else str(self)


class Float(float):
    """A number that prints as it was written (`1.10` stays `1.10`)."""

    position: Position
    text: str = ""

    def __str__(self) -> str:
        return self.text or float.__repr__(self)

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else str(self)


class Sealed:
    """A `!vault` scalar: its ciphertext, opened by `language.vault` when first needed."""

    def __init__(self, text: str, position: Position) -> None:
        self.text = text
        self.position = position

    def __repr__(self) -> str:
        return f"<sealed value at {self.position}>"


class Unsafe(Text):
    """Text marked `!unsafe`: never rendered as a template."""


class Mapping(dict[str, Any]):
    """A mapping with its own position, and those of each key and value; `written` holds scalars' source text."""

    position: Position
    key_positions: dict[str, Position]
    value_positions: dict[str, Position]
    written: dict[str, str]

    def __init__(self, *args: Any, position: Position | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.position = position or Position("<data>")
        self.key_positions, self.value_positions, self.written = {}, {}, {}

    def key_at(self, key: str) -> Position:
        """Where `key` was written; the mapping itself when the key was not."""
        return self.key_positions.get(key, self.position)

    def at(self, key: str) -> Position:
        """Where the value of `key` was written."""
        return self.value_positions.get(key, self.key_at(key))


class Sequence(list[Any]):
    """A list with its own position and those of its items."""

    position: Position
    positions: list[Position]

    def __init__(self, *args: Any, position: Position | None = None) -> None:
        super().__init__(*args)
        self.position = position or Position("<data>")
        self.positions = []

    def at(self, index: int) -> Position:
        """Where item `index` was written."""
        return self.positions[index] if index < len(self.positions) else self.position


def position_of(value: Any, default: Position | None = None) -> Position | None:
    """The position a value carries, or `default`."""
    found = getattr(value, "position", None)
    return found if isinstance(found, Position) else default


def load_file(path: str | Path, *, text: str | None = None) -> Any:
    """The one document of a YAML file; None when empty. Raises MissingFileError, InvalidError."""
    name = str(path)
    if text is None:
        text = read_text(name)
    return load(text, name)


def read_text(path: str | Path, position: Position | None = None) -> str:
    """A file's text in UTF-8. Raises MissingFileError with a suggestion, InvalidError when it is not text."""
    from personaplex_provision.errors import Diagnostic

    file = Path(path)
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        where = position or Position(str(path))
        raise InvalidError(Diagnostic(f"{path} is not UTF-8 text", str(error), where)) from None
    except OSError as error:
        near = suggestion(file.name, [one.name for one in file.parent.iterdir()]) if file.parent.is_dir() else ""
        summary = f"cannot read {path}: {(error.strerror or str(error)).lower()}"
        raise MissingFileError(Diagnostic(summary, position=position, hint=near)) from None


def load(text: str, name: str) -> Any:
    """The one document in `text`; `name` is the file that positions speak of. Raises InvalidError."""
    from personaplex_provision.errors import Diagnostic

    loader = _Loader(text)
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Position(name, mark.line + 1, mark.column + 1) if mark else Position(name)
        detail = f"{error.context}" if error.context else ""
        hint = _yaml_hint(text, where)
        raise InvalidError(Diagnostic(f"not valid YAML: {error.problem}", detail, where, hint)) from None
    except yaml.YAMLError as error:
        raise InvalidError(Diagnostic("not valid YAML", str(error), Position(name))) from None
    finally:
        loader.dispose()
    if node is None:
        return None
    problems: list[Diagnostic] = []
    value = _Builder(name, problems).build(node)
    if problems:
        raise InvalidError(problems)
    return value


class _Builder:
    """Turns composed nodes into positioned values, collecting what is wrong on the way."""

    def __init__(self, name: str, problems: list[Any]) -> None:
        self.name = name
        self.problems = problems

    def build(self, node: Node) -> Any:
        if isinstance(node, MappingNode):
            return self._mapping(node)
        if isinstance(node, SequenceNode):
            found = Sequence(position=self._at(node))
            for child in node.value:
                found.append(self.build(child))
                found.positions.append(self._at(child))
            return found
        assert isinstance(node, ScalarNode)
        return self._scalar(node)

    def _mapping(self, node: MappingNode) -> Mapping:
        found = Mapping(position=self._at(node))
        merged: list[Mapping] = []
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                base = self.build(value_node)
                merged += [one for one in (base if isinstance(base, list) else [base]) if isinstance(one, Mapping)]
                continue
            if not isinstance(key_node, ScalarNode):
                self._problem("a key must be plain text", key_node, "a line starting with '{{' needs quotes around it")
                continue
            key = Text(key_node.value)
            key.position = self._at(key_node)
            if key in found:
                first = found.key_positions[key]
                self._problem(f'the key "{key}" is given twice', key_node, f"the first is at line {first.line}")
                continue
            found[key] = self.build(value_node)
            found.key_positions[key] = key.position
            found.value_positions[key] = self._at(value_node)
            if isinstance(value_node, ScalarNode):
                found.written[key] = value_node.value
        for base in merged:
            for name in base:
                if name not in found:
                    found[name] = base[name]
                    found.key_positions[name] = base.key_at(name)
                    found.value_positions[name] = base.at(name)
        return found

    def _scalar(self, node: ScalarNode) -> Any:
        tag, raw, where = node.tag.removeprefix("tag:yaml.org,2002:"), node.value, self._at(node)
        if tag == "null":
            return None
        if tag == "bool":
            return raw.lower() in ("yes", "true", "on", "y")
        if tag in ("!vault", "!vault-encrypted"):
            return Sealed(raw, where)
        if tag == "int" and ":" not in raw:
            number = Int(_whole(raw))
            number.position, number.text = where, raw
            return number
        if tag == "float" and ":" not in raw:
            real = Float(_real(raw))
            real.position, real.text = where, raw
            return real
        if tag.startswith("!") and tag != "!unsafe":
            self._problem(f"the tag {tag} is not known", node, "known tags: !vault, !unsafe")
        text = Unsafe(raw) if tag == "!unsafe" else Text(raw)
        text.position = where
        text.block = node.style in ("|", ">")
        text.quoted = node.style in ("'", '"')
        return text

    def _at(self, node: Node) -> Position:
        return Position(self.name, node.start_mark.line + 1, node.start_mark.column + 1)

    def _problem(self, summary: str, node: Node, hint: str = "") -> None:
        from personaplex_provision.errors import Diagnostic

        self.problems.append(Diagnostic(summary, "", self._at(node), hint))


def _whole(raw: str) -> int:
    text = raw.replace("_", "")
    sign, digits = (text[0], text[1:]) if text[0] in "+-" else ("", text)
    if digits.startswith("0b"):
        value = int(digits[2:], 2)
    elif digits.startswith("0x"):
        value = int(digits[2:], 16)
    elif digits.startswith("0o"):
        value = int(digits[2:], 8)
    elif len(digits) > 1 and digits.startswith("0"):
        value = int(digits, 8)
    else:
        value = int(digits)
    return -value if sign == "-" else value


def _real(raw: str) -> float:
    text = raw.replace("_", "").lower()
    return float(re.sub(r"^([+-]?)\.(inf|nan)$", r"\1\2", text))


def _yaml_hint(text: str, where: Position) -> str:
    lines = text.splitlines()
    line = lines[where.line - 1] if 0 < where.line <= len(lines) else ""
    if re.search(r":\s*\{\{", line):
        return 'a value that starts with "{{" needs quotes around it'
    if "\t" in line:
        return "YAML is indented with spaces, never with tabs"
    if re.match(r"\s*[^\s'\"#][^'\"]*: [^'\"]*: ", line):
        return 'a value with ": " inside needs quotes around it'
    return ""


__all__ = [
    "Float", "Int", "Mapping", "ProvisionError", "Sealed", "Sequence", "Text", "Unsafe",
    "load", "load_file", "position_of", "read_text",
]
