"""The Jinja environment: one for the process, templates compiled once by their text.

It differs from Jinja's own in what a template does at run time. A variable is rendered when an expression reaches it,
not when the template starts, so a branch that is not taken costs nothing and fails nothing. Expressions keep their
types. What goes to filters, tests, operators and calls passes `lazy.plain`, where secrets are opened and noted.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import Position, ProvisionError
from personaplex_provision.language import lazy
from personaplex_provision.language.boxes import CURRENT, Absent, Boxed, Frame, Missing, as_missing, opened
from personaplex_provision.language.jinja import (
    DEFAULT_NAMESPACE,
    CodeGenerator,
    CompilerFrame,
    Context,
    Macro,
    SandboxedEnvironment,
    Template,
    TemplateNotFound,
    TemplateRuntimeError,
    TemplateSyntaxError,
    Undefined,
    missing,
    nodes,
)
from personaplex_provision.language.lazy import Deferred, LazyDict, LazyList
from personaplex_provision.language.source import read_text
from personaplex_provision.language.values import Pending

FRAME = "-frame"
"""Key under which a context carries its frame; no template can spell it."""

_DICT_METHODS = frozenset((
    "clear", "copy", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values",
))
_LIST_METHODS = frozenset((
    "append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse",
))
_KEEPS = frozenset((
    "append", "dict", "extend", "get", "insert", "lookup", "namespace", "query", "setdefault", "update",
))
"Calls that store or pass on what they are given: secrets stay in their boxes."
_SIGNS = {"eq": "==", "ne": "!=", "gt": ">", "gteq": ">=", "lt": "<", "lteq": "<=", "in": "in", "notin": "not in"}
_PREFIXES = ("ansible.builtin.", "ansible.legacy.", "ansible.utils.", "community.general.", "ansible.posix.")


class Names(dict[str, Any]):
    """Filters or tests by name, with or without the collection they come from."""

    def __missing__(self, name: str) -> Any:
        for prefix in _PREFIXES:
            if name.startswith(prefix):
                return dict.__getitem__(self, name[len(prefix) :])
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default


class _Generator(CodeGenerator):
    """Emits code that leaves values as they are and opens variables where they are used."""

    @staticmethod
    def _default_finalize(value: Any) -> Any:
        return value

    def _output_const_repr(self, group: Any) -> str:
        return repr("".join(str(one) for one in group))

    def _output_child_to_const(self, node: Any, frame: CompilerFrame, finalize: Any) -> Any:  # noqa: ARG002
        if isinstance(node, nodes.TemplateData):
            return node.as_const(frame.eval_ctx)
        raise nodes.Impossible

    def _output_child_pre(self, node: Any, frame: CompilerFrame, finalize: Any) -> None:  # noqa: ARG002
        self.write("environment.out(")

    def _output_child_post(self, node: Any, frame: CompilerFrame, finalize: Any) -> None:  # noqa: ARG002
        self.write(")")

    def visit_Name(self, node: nodes.Name, frame: CompilerFrame) -> None:
        if node.ctx != "load":
            super().visit_Name(node, frame)
            return
        reference = frame.symbols.ref(node.name)
        load = frame.symbols.find_load(reference)
        if load is not None and load[0] == "param" and not self.parameter_is_undeclared(reference):
            self.write(reference)
            return
        self.write(f"(undefined(name={node.name!r}) if {reference} is missing else environment.touch({reference}))")

    def visit_Compare(self, node: nodes.Compare, frame: CompilerFrame) -> None:
        self.write("(environment.opened(")
        self.visit(node.expr, frame)
        self.write(")")
        for one in node.ops:
            self.visit(one, frame)
        self.write(")")

    def visit_Operand(self, node: nodes.Operand, frame: CompilerFrame) -> None:
        self.write(f" {_SIGNS[node.op]} environment.opened(")
        self.visit(node.expr, frame)
        self.write(")")


class _Context(Context):
    """Looks names up in the frame's variables, without touching their values."""

    def __init__(self, environment: Any, parent: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(environment, parent, *args, **kwargs)
        self.frame: Frame | None = parent.get(FRAME)

    def resolve_or_missing(self, key: str) -> Any:
        if key in self.vars:
            return self.vars[key]
        if key in self.parent:
            return self.parent[key]
        if self.frame is not None and self.frame.templar.has(key):
            return Deferred(key, self.frame)
        return self.environment.globals.get(key, missing)


class Engine(SandboxedEnvironment):
    """Jinja's environment with the run-time hooks that `_Generator` and `_Context` rely on."""

    code_generator_class = _Generator
    context_class = _Context
    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))
    intercepted_unops = frozenset(("+", "-"))

    @staticmethod
    def touch(value: Any) -> Any:
        return value.open() if type(value) is Deferred else value

    opened = staticmethod(opened)

    @staticmethod
    def out(value: Any) -> Any:
        if isinstance(value, Undefined):
            raise Absent(as_missing(value))
        return value

    @staticmethod
    def concat(values: Any) -> str:
        return "".join([lazy.text(value) for value in values])

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, (LazyDict, dict)):
            if attribute in _DICT_METHODS:
                return getattr(obj, attribute)
            return self._item(obj, attribute)
        if isinstance(obj, LazyList):
            return getattr(obj, attribute) if attribute in _LIST_METHODS else self.undefined(obj=obj, name=attribute)
        if isinstance(obj, Undefined):
            return obj
        return super().getattr(opened(obj), attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        argument = opened(argument)
        if isinstance(obj, (LazyDict, dict)):
            return self._item(obj, argument)
        if isinstance(obj, (LazyList, list)):
            if isinstance(argument, str) and argument.lstrip("-").isdigit():
                argument = int(argument)
            try:
                return obj[argument]
            except (IndexError, TypeError):
                return self.undefined(obj=obj, name=argument)
        if isinstance(obj, Undefined):
            return obj
        return super().getitem(opened(obj), argument)

    def _item(self, obj: Any, key: Any) -> Any:
        if isinstance(key, Undefined):
            raise Absent(as_missing(key))
        try:
            return obj[key]
        except (KeyError, TypeError):
            if hasattr(dict, str(key)) and not str(key).startswith("_"):
                return getattr(obj, str(key))
            return self.undefined(obj=obj, name=key)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        callee = getattr(__obj, "__name__", "")
        if not isinstance(__obj, Macro) and callee not in _KEEPS and not isinstance(__obj, type):
            args = tuple(lazy.plain(one, reveal=True) for one in args)
            kwargs = {key: lazy.plain(one, reveal=True) for key, one in kwargs.items()}
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        return super().call_binop(context, operator, lazy.plain(opened(left)), lazy.plain(opened(right)))

    def call_unop(self, context: Any, operator: str, arg: Any) -> Any:
        return super().call_unop(context, operator, opened(arg))

    def get_template(self, name: Any, parent: str | None = None, globals: Any = None) -> Template:  # noqa: ARG002
        """The file `{% include %}`, `{% import %}` or `{% extends %}` names. Raises TemplateNotFound."""
        if isinstance(name, Template):
            return name
        frame = CURRENT.get()
        wanted = str(opened(name))
        path = frame.templar.find(wanted, "templates", beside=parent) if frame else None
        if path is None:
            raise TemplateNotFound(wanted)
        return file_template(self, path)

    def select_template(self, names: Any, parent: str | None = None, globals: Any = None) -> Template:
        for name in names:
            try:
                return self.get_template(name, parent, globals)
            except TemplateNotFound:
                continue
        raise TemplateNotFound(", ".join(str(one) for one in names))


class UseError(TemplateRuntimeError):
    """A filter, test or lookup refused what it was given."""


def hooked(name: str, what: str, function: Callable[..., Any], mode: str = "reveal") -> Callable[..., Any]:
    """A filter or test that gets plain arguments.

    `mode`: `reveal` opens secrets (the render becomes one), `keep` passes their boxes on, `lazy` passes everything on
    untouched, undefined values too.
    """
    skip = 1 if getattr(function, "jinja_pass_arg", None) is not None else 0

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            if mode != "lazy":
                reveal = mode == "reveal"
                args = (*args[:skip], *(lazy.plain(one, reveal=reveal) for one in args[skip:]))
                kwargs = {key: lazy.plain(one, reveal=reveal) for key, one in kwargs.items()}
            return boxed(function(*args, **kwargs))
        except (Absent, Pending, ProvisionError, UseError):
            raise
        except Exception as error:
            raise UseError(f'the {what} "{name}" failed: {error_text(error)}') from error

    return call


def error_text(error: Exception) -> str:
    """What an exception says, or its kind when it says nothing."""
    if isinstance(error, KeyError) and error.args:
        return f"no key {error.args[0]!r}"
    return str(error) or type(error).__name__


def boxed(value: Any) -> Any:
    """What a filter or lookup returned, with a secret in its box."""
    frame = CURRENT.get()
    if frame is not None and isinstance(value, (Secret, dict, list)):
        return lazy.enter(value, frame.templar, frame, "", True) if isinstance(value, Secret) else _inner(value, frame)
    return value


def _inner(value: Any, frame: Frame) -> Any:
    """Boxes for secrets that a lookup put into a container."""
    if isinstance(value, Secret):
        return Boxed(value, frame)
    if isinstance(value, dict) and any(isinstance(one, (Secret, dict, list)) for one in value.values()):
        return {key: _inner(one, frame) for key, one in value.items()}
    if isinstance(value, list) and any(isinstance(one, (Secret, dict, list)) for one in value):
        return [_inner(one, frame) for one in value]
    return value


@lru_cache(maxsize=16)
def engine(options: tuple[tuple[str, Any], ...] = ()) -> Engine:
    """The environment for these of Jinja's options (delimiters, `trim_blocks` …), with all filters and tests."""
    from personaplex_provision.language.filters import all_filters
    from personaplex_provision.language.filters.tests import all_tests
    from personaplex_provision.language.functions import all_functions

    settings: dict[str, Any] = {"trim_blocks": True, **dict(options)}
    made = Engine(
        undefined=Missing, optimized=False, cache_size=0, extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"],
        **settings,
    )
    made.filters = Names(all_filters(made.filters))
    made.tests = Names(all_tests(made.tests))
    made.globals = {**{key: DEFAULT_NAMESPACE[key] for key in ("range", "dict", "cycler", "joiner", "namespace")},
                    **all_functions()}
    return made


_compiled: dict[str, Template] = {}
_files: dict[tuple[int, str], tuple[tuple[int, int], Template]] = {}
_texts: dict[str, tuple[tuple[int, int], str]] = {}
_lock = threading.Lock()


def text_template(text: str) -> Template:
    """The compiled form of a template in a value. Raises jinja2.TemplateSyntaxError."""
    found = _compiled.get(text)
    if found is None:
        with _lock:
            if len(_compiled) > 20_000:
                _compiled.clear()
            found = _compiled[str(text)] = engine().from_string(str(text))
    return found


def file_text(path: str, position: Position | None) -> str:
    """The text of a template file, read again when it changed. Raises as `source.read_text`."""
    try:
        state = os.stat(path)
    except OSError:
        return read_text(path, position)
    stamp, known = (state.st_mtime_ns, state.st_size), _texts.get(path)
    if known is None or known[0] != stamp:
        known = _texts[path] = stamp, read_text(path, position)
    return known[1]


def file_template(
    environment: Engine, path: str, source: str | None = None, *, shift: int = 0, cached: bool = True
) -> Template:
    """The compiled form of a file, read again when it changed; `shift` lines were cut off above `source`.

    Raises OSError, jinja2.TemplateSyntaxError.
    """
    state = os.stat(path)
    stamp = (state.st_mtime_ns, state.st_size)
    known = _files.get((id(environment), path))
    if cached and known is not None and known[0] == stamp:
        return known[1]
    if source is None:
        with open(path, encoding="utf-8") as file:
            source = file.read()
    try:
        code = environment.compile(source, path, path)
    except TemplateSyntaxError as error:
        error.lineno += shift
        raise
    template = environment.template_class.from_code(environment, code, environment.make_globals(None))
    if shift and template._debug_info:
        pairs = (one.split("=") for one in template._debug_info.split("&"))
        template._debug_info = "&".join(f"{int(line) + shift}={code_line}" for line, code_line in pairs)
    if cached:
        _files[(id(environment), path)] = (stamp, template)
    return template
