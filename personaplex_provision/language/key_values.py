"""`name=value` pairs on one line, as `-e` takes them: quotes and template brackets keep words together."""

from __future__ import annotations

import codecs
import re

from personaplex_provision.errors import Diagnostic, Position, UsageError
from personaplex_provision.language.source import Mapping, Text

_ESCAPE = re.compile(r"""\\(?:U[0-9a-fA-F]{8}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|N\{[^}]+\}|[\\'"abfnrtv])""")
_OPENING = {"{{": "}}", "{%": "%}", "{#": "#}"}


def parse_key_values(text: str, name: str) -> Mapping:
    """The pairs in `text`, values as text; `name` says where they stand (`-e`). Raises UsageError."""
    where = Position(name)
    found = Mapping(position=where)
    for word in split_words(text, where):
        pair = re.match(r"((?:[^=\\]|\\.)+?)=(.*)", _unescaped(word), re.DOTALL)
        if pair is None:
            raise UsageError(Diagnostic(f'{name} is given "{word}", which is not name=value', hint=_HINT))
        key, value = pair[1].strip(), Text(_unquoted(pair[2].strip()))
        value.position = where
        found[key] = value
    return found


def split_words(text: str, where: Position) -> list[str]:
    """`text` cut at white space outside quotes and template brackets; nothing is unescaped. Raises UsageError."""
    words: list[str] = []
    word, quote, closing, index = "", "", "", 0
    while index < len(text):
        char, pair = text[index], text[index : index + 2]
        if char == "\\" and index + 1 < len(text):
            word, index = word + pair, index + 2
            continue
        if closing:
            if pair == closing:
                word, closing, index = word + pair, "", index + 2
                continue
        elif pair in _OPENING:
            word, closing, index = word + pair, _OPENING[pair], index + 2
            continue
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char.isspace():
            words, word, index = ([*words, word] if word else words), "", index + 1
            continue
        word, index = word + char, index + 1
    if quote or closing:
        raise UsageError(Diagnostic(f"{where}: a {quote or closing} is missing in: {text}", hint=_HINT))
    return [*words, word] if word else words


def _unescaped(word: str) -> str:
    return _ESCAPE.sub(lambda found: codecs.decode(found[0], "unicode-escape"), word)


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" and value[-2] != "\\"
    return value[1:-1] if quoted else value


_HINT = """write name=value, name="value with spaces", @FILE or '{"name": [1, 2]}'"""
