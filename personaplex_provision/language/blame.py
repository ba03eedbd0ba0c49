"""What went wrong in a template, as a diagnostic at the place in the source file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from personaplex_provision.agent.redact import Redactor
from personaplex_provision.errors import Diagnostic, Position, suggestion
from personaplex_provision.language.boxes import Absent, Frame, Missing
from personaplex_provision.language.engine import engine, error_text
from personaplex_provision.language.jinja import TemplateNotFound, TemplateSyntaxError, missing
from personaplex_provision.language.lazy import LazyDict, LazyList

_UNNAMED = re.compile(r"No (filter|test) named '([^']+)'")
_HINTS = (
    ("expected token 'end of print statement'", "an operator or a quote is missing between the two"),
    ("unexpected '}'", "the braces do not pair up; a mapping inside an expression needs a space before }}"),
    ("unexpected end of template", "a block was opened and not closed ({% endif %}, {% endfor %} …)"),
    ("Unexpected end of template", "a block was opened and not closed ({% endif %}, {% endfor %} …)"),
    ("unexpected char", "text needs quotes; a name has letters, digits and _ only"),
)


def explain(error: Exception, frame: Frame) -> Diagnostic:
    """The diagnostic of an error raised by the render `frame`; secrets that were opened are named, not shown."""
    if isinstance(error, Absent):
        if error.missing.diagnostic is not None:
            return error.missing.diagnostic
        found = _absent(error.missing, frame, _line(error))
    elif isinstance(error, TemplateSyntaxError):
        found = _syntax(error, frame)
    elif isinstance(error, RecursionError):
        found = Diagnostic("the template is nested too deeply", position=place(frame, 1, ""))
    else:
        found = _failed(error, frame)
    secrets = [secret for one in _chain(frame) for secret in one.touched.values()]
    clean = Redactor(secrets).text if secrets else str
    detail = "\n".join(line for line in (found.detail, _readers(frame)) if line)
    return Diagnostic(clean(found.summary), clean(detail), found.position, clean(found.hint))


def place(frame: Frame, line: int, fragment: str) -> Position | None:
    """Where in its source file the template's `line` stands, at `fragment` when that can be found."""
    return locate(frame.text, frame.position, line, fragment)


def locate(text: str, position: Position | None, line: int, fragment: str) -> Position | None:
    """The position of `fragment` in line `line` of a template that is written at `position`."""
    if position is None or not position.line:
        return position
    rows = text.splitlines() or [""]
    row = rows[line - 1] if 0 < line <= len(rows) else rows[0]
    offset = _column(row, fragment)
    source = _source_lines(position.file)
    body, indent = row.strip(), len(row) - len(row.lstrip())
    start = position.line - 1
    for number in range(start, min(start + len(rows) + 200, len(source))):
        column = source[number].find(body, position.column - 1 if number == start else 0) if body else -1
        if column >= 0:
            return Position(position.file, number + 1, column + max(offset - indent, 0) + 1)
    # A folded or escaped scalar does not stand in the file as it reads; the fragment itself may.
    if fragment:
        for number in range(start, min(start + 60, len(source))):
            found = re.search(rf"(?<![\w.]){re.escape(fragment)}(?!\w)", source[number])
            if found and (number > start or found.start() >= position.column - 1):
                return Position(position.file, number + 1, found.start() + 1)
    return position


def in_file(path: str, line: int, fragment: str) -> Position:
    """A position in a template file."""
    source = _source_lines(path)
    row = source[line - 1] if 0 < line <= len(source) else ""
    return Position(path, line, _column(row, fragment) + 1)


def _absent(absent: Missing, frame: Frame, where: tuple[str, int]) -> Diagnostic:
    name, owner = absent.name, absent.owner
    position = _position(frame, where, name)
    if absent._undefined_hint and not name:
        return Diagnostic(str(absent._undefined_hint), "", position)
    if not name:
        return Diagnostic("the expression has no value here", "an `if` without `else` gave nothing", position)
    if owner is missing or owner is None:
        templar = frame.templar
        hint = suggestion(name, [*templar.variables, *engine().globals])
        hint = hint or "give it a value, or use | default(…)"
        return Diagnostic(f'the variable "{name}" is not defined', "", position, hint)
    if isinstance(owner, (LazyDict, dict)):
        label = owner._label if isinstance(owner, LazyDict) else ""
        what = f'"{label}"' if label else "the mapping"
        defined = _defined(frame, label)
        hint = suggestion(name, [str(key) for key in owner]) or _known(owner)
        return Diagnostic(f'{what} has no key "{name}"', defined, position, hint)
    if isinstance(owner, (LazyList, list)):
        label = owner._label if isinstance(owner, LazyList) else ""
        what = f'"{label}"' if label else "the list"
        return Diagnostic(f"{what} has no item {name}", f"it has {len(owner)} items", position)
    what = "the text" if isinstance(owner, str) else f"a {type(owner).__name__}"
    return Diagnostic(f'{what} has no "{name}"', "", position)


def _known(owner: Iterable[object]) -> str:
    keys = sorted(str(key) for key in owner)
    return f"it has: {', '.join(keys[:12])}{' …' if len(keys) > 12 else ''}" if keys else "it is empty"


def _defined(frame: Frame, label: str) -> str:
    name = re.split(r"[.\[]", label)[0]
    if frame.templar.origin is None or not name or not frame.templar.has(name):
        return ""
    where = frame.templar.origin(name)
    return f'"{name}" is defined at {where}' if where else ""


def _syntax(error: TemplateSyntaxError, frame: Frame) -> Diagnostic:
    message = error.message or "not a valid template"
    unnamed = _UNNAMED.search(message)
    fragment = unnamed.group(2) if unnamed else _quoted(message)
    position = _position(frame, (error.filename or "", error.lineno), fragment)
    if unnamed:
        return _unknown_name(unnamed.group(1), unnamed.group(2), position)
    hint = next((text for start, text in _HINTS if start in message), "")
    return Diagnostic(f"not a valid template: {message.rstrip('.')}", "", position, hint)


def _failed(error: Exception, frame: Frame) -> Diagnostic:
    where = _line(error)
    if isinstance(error, TemplateNotFound):
        searched = "\n".join(f"searched: {one}" for one in frame.templar.search_path)
        return Diagnostic(f"no template file {error.name}", searched, _position(frame, where, str(error.name)))
    message = error_text(error)
    unnamed = _UNNAMED.search(message)
    if unnamed:
        return _unknown_name(unnamed.group(1), unnamed.group(2), _position(frame, where, unnamed.group(2)))
    return Diagnostic(f"the template failed: {message}" if "failed:" not in message else message, "",
                      _position(frame, where, _quoted(message)))


def _unknown_name(what: str, name: str, position: Position | None) -> Diagnostic:
    known = engine().filters if what == "filter" else engine().tests
    other = {"json_query": "use selectattr and map(attribute=…)", "to_xml": "write a template file"}
    hint = suggestion(name.rpartition(".")[2], known) or other.get(name.rpartition(".")[2], "")
    return Diagnostic(f'there is no {what} "{name}"', "", position, hint)


def _position(frame: Frame, where: tuple[str, int], fragment: str) -> Position | None:
    file, line = where
    return in_file(file, line, fragment) if file else place(frame, line, fragment)


def _line(error: BaseException) -> tuple[str, int]:
    """The file ("" for a template in a value) and line of the template code that raised."""
    found = ("", 1)
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            found = (template.name or "", template.get_corresponding_lineno(trace.tb_lineno))
        trace = trace.tb_next
    return found


def _readers(frame: Frame) -> str:
    """How the failing text was reached: which variable holds it and who reads that."""
    lines = []
    for inner in _chain(frame):
        if inner.parent is None:
            break
        outer = inner.parent
        where = locate(outer.text, outer.position, 1, re.split(r"[.\[]", inner.label)[0])
        lines.append(f'"{inner.label}" is read here: {where}' if where else f'"{inner.label}" holds this template')
    return "\n".join(lines)


def _chain(frame: Frame | None) -> Iterable[Frame]:
    while frame is not None:
        yield frame
        frame = frame.parent


def _quoted(message: str) -> str:
    found = re.search(r"""['"]([^'"]{1,60})['"]""", message)
    return found.group(1) if found else ""


def _column(row: str, fragment: str) -> int:
    """The offset of `fragment` as a word, else of the first expression, else of the first character."""
    if fragment:
        # A character class before it keeps `name` from being found in `user_name`; `.name` is fine.
        found = re.search(rf"(?<!\w){re.escape(fragment)}(?!\w)", row)
        if found:
            return found.start()
    found = re.search(r"\{\{|\{%", row)
    return found.start() if found else len(row) - len(row.lstrip())


def _source_lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
