"""The reference page of a kind, read from the kind itself: docstring, the text under each field, example, results."""

from __future__ import annotations

import ast
import functools
import inspect
import json
import textwrap
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import Resource
from personaplex_provision.language.keywords import CONTROLLER_KINDS, IMPORT_KINDS, REFUSED_KINDS, short_kind
from personaplex_provision.language.verify import PREFIX
from personaplex_provision.planning.kinds import kind_names, load_kind, load_module
from personaplex_provision.planning.validator import Parameter, describe, parameters

ROLLBACK = {
    "exact": "exact: what was there is kept before it is changed, and put back as it was",
    "best-effort": "best-effort: taken back as far as possible; what may stay behind is told in the plan",
    "irreversible": "irreversible: it cannot be taken back, unless the task says how with `undo:`; marked ! in plans",
    "by step": "by step: decided for each step by what it asks for and what it finds; the plan tells",
}

CONTROLLER = {
    "meta": "A point in the run: `flush_handlers`, `end_play`, `end_host`, `noop`, `reset_connection` …",
    "set_fact": "Sets variables of the host for all that follows.",
    "include_vars": "Reads variables from a file.",
    "debug": "Prints a message (`msg`) or a variable (`var`).",
    "assert": "Fails unless the conditions in `that` hold; known values are judged while planning.",
    "fail": "Fails with a message (`msg`).",
    "pause": "Waits, or asks a question.",
    "import_tasks": "Puts the tasks of a file here, when the playbook is read.",
    "include_tasks": "Puts the tasks of a file here, when its turn comes.",
    "import_role": "Puts a role here, when the playbook is read.",
    "include_role": "Puts a role here, when its turn comes.",
}
"What has no class of its own, because it never reaches the target."


@dataclass(frozen=True)
class ParameterPage:
    """What is said of one parameter; `choices` are values, `type` is in words."""

    name: str
    type: str
    text: str
    required: bool
    default: Any
    choices: tuple[Any, ...]
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class KindPage:
    """What is said of one kind; `returns` are the names that `register` sees besides `changed` and `failed`."""

    kind: str
    summary: str
    text: str
    rollback: str
    "A key of ROLLBACK."
    why: str
    "Why it is of that class."
    parameters: tuple[ParameterPage, ...]
    free_form: str
    probe: bool
    example: str
    returns: tuple[str, ...]


def document(kind: str, library: Mapping[str, str] | None = None) -> KindPage:
    """The page of a kind. Raises as `load_kind`."""
    cls, module = load_kind(kind, library), load_module(kind, library)
    summary, _, rest = inspect.cleandoc(cls.__doc__ or "").partition("\n")
    texts = field_texts(cls)
    pages = tuple(
        ParameterPage(one.name, _type(cls, one), texts.get(one.name, ""), one.required, one.default,
                      choices_of(one), one.aliases)
        for one in parameters(cls).values()
    )
    example = str(getattr(module, "EXAMPLE", "")).strip("\n")
    varies = cls.reversibility is not Resource.reversibility
    rollback = "by step" if varies else cls.reversible
    return KindPage(cls.kind, summary, rest.strip(), rollback, cls.reversible_why, pages, cls.free_form, cls.probe,
                    example, _returns(cls))


def _type(cls: type[Resource], one: Parameter) -> str:
    return "a value or matchers" if one.name in getattr(cls, "matched", ()) else describe(one.hint)


def render_kind(kind: str, library: Mapping[str, str] | None = None, width: int = 100) -> str:
    """The page as text of `width` columns. Raises InvalidError for a kind that does not exist."""
    name = short_kind(kind)
    if name == "verify":
        from personaplex_provision.planning.verify_page import render_verify

        return render_verify(width)
    if name not in kind_names() and PREFIX + name in kind_names() and name not in CONTROLLER:
        name = PREFIX + name
    if name not in kind_names() and name not in (library or {}):
        if name in CONTROLLER:
            return f"{name}: {CONTROLLER[name]}\n"
        if name in REFUSED_KINDS:
            reason, instead = REFUSED_KINDS[name]
            return f"{name}: left out, {reason}; {instead}\n"
    page = document(name, library)
    lines = [f"{page.kind}: {page.summary}", ""]
    if page.text:
        lines += [*_wrapped(page.text, width, ""), ""]
    lines += ["ROLLBACK", *_wrapped(ROLLBACK[page.rollback], width, "  ")]
    if page.why:
        lines += [f"  {line}" for line in textwrap.wrap(page.why, width - 2)]
    if page.probe:
        lines += ["", "It only reads, and so runs while planning."]
    lines += ["", "PARAMETERS"]
    for one in page.parameters:
        lines += _parameter(one, page, width)
    if page.example:
        lines += ["", "EXAMPLE", textwrap.indent(page.example, "  ")]
    lines += ["", "RETURNS", *_wrapped(", ".join(("changed", "failed", *page.returns)), width, "  ")]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def render_list(library: Mapping[str, str] | None = None) -> str:
    """All kinds, one a line: name, rollback class, summary."""
    rows = []
    for name in sorted({*kind_names(), *(library or {})}):
        page = document(name, library)
        rows.append((name, page.rollback, page.summary))
    rows += [(name, "-", CONTROLLER[name]) for name in sorted(CONTROLLER_KINDS | IMPORT_KINDS)
             if name in CONTROLLER and name not in kind_names()]
    wide = max(len(one[0]) for one in rows)
    return "".join(f"{name:<{wide}}  {rollback:<12}  {text}\n" for name, rollback, text in sorted(rows))


def field_texts(cls: type[Resource]) -> dict[str, str]:
    """The text under each field, those of base classes too."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, Resource) and base is not Resource:
            file = inspect.getsourcefile(base)
            found.update(_texts_in(str(file)).get(base.__name__, {}) if file else {})
    return found


def choices_of(parameter: Parameter) -> tuple[Any, ...]:
    """The values of a parameter that takes only some."""
    for hint in (parameter.hint, *typing.get_args(parameter.hint)):
        if typing.get_origin(hint) is Literal:
            return typing.get_args(hint)
    return ()


@functools.cache
def _classes_in(file: str) -> dict[str, ast.ClassDef]:
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    return {one.name: one for one in tree.body if isinstance(one, ast.ClassDef)}


@functools.cache
def _texts_in(file: str) -> dict[str, dict[str, str]]:
    """Class -> field -> the string that stands under the field."""
    found: dict[str, dict[str, str]] = {}
    for name, node in _classes_in(file).items():
        fields = found.setdefault(name, {})
        for one, after in zip(node.body, node.body[1:], strict=False):
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and isinstance(after, ast.Expr):
                text = after.value.value if isinstance(after.value, ast.Constant) else None
                if isinstance(text, str):
                    fields[one.target.id] = " ".join(text.split())
    return found


def _returns(cls: type[Resource]) -> tuple[str, ...]:
    """Names in the dictionaries that `result` and what it is built from in its own class write out."""
    owner = next(base for base in cls.__mro__ if "result" in base.__dict__)
    file = inspect.getsourcefile(owner)
    if owner is Resource or file is None:
        return ()
    body = _classes_in(file)[owner.__name__].body
    method = next(one for one in body if isinstance(one, ast.FunctionDef) and one.name == "result")
    names = dict.fromkeys(_keys_in(method))
    for node in ast.walk(method):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            names |= dict.fromkeys(_keys_of_function(cls, node.func.id))
    return tuple(names)


def _keys_of_function(cls: type[Resource], name: str) -> list[str]:
    """Keys of the dictionaries in a module's function that a `result` calls."""
    for base in cls.__mro__:
        function = getattr(inspect.getmodule(base), name, None)
        if inspect.isfunction(function):
            return _keys_in(ast.parse(textwrap.dedent(inspect.getsource(function))))
    return []


def _keys_in(tree: ast.AST) -> list[str]:
    """Keys that are written out in the dictionaries of some code."""
    keys = (key for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys)
    return [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]


def _parameter(one: ParameterPage, page: KindPage, width: int) -> list[str]:
    marks = ["required" if one.required else f"default {_shown(one.default)}" if one.default is not None else ""]
    marks += [f"also {', '.join(one.aliases)}" if one.aliases else ""]
    marks += [f"`{page.kind}: text` sets it" if page.free_form == one.name else ""]
    told = "; ".join(mark for mark in marks if mark)
    head = f"  {one.name}: {one.type}" + (f"; {told}" if told else "")
    return [*_wrapped(head.strip(), width, "  "), *_wrapped(one.text, width, "      ")]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) and value else json.dumps(value, default=str)


def _wrapped(text: str, width: int, margin: str) -> list[str]:
    found: list[str] = []
    for paragraph in text.split("\n\n"):
        if found:
            found.append("")
        hanging = margin + ("    " if margin == "  " else "")
        found += textwrap.wrap(" ".join(paragraph.split()), width, initial_indent=margin, subsequent_indent=hanging,
                               break_long_words=False, break_on_hyphens=False)
    return found
