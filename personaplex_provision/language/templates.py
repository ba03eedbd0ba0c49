"""Templates: variables, results and secrets made into the values and files that tasks use.

A variable's value is itself a template, rendered when something reads it. A lone `{{ expression }}` keeps its type,
everything else is text. What reads a secret is a secret (`agent.values.Secret`), what reads a value that is not there
yet raises `values.Pending`.
"""

from __future__ import annotations

import os
import re
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import (
    Diagnostic,
    Findings,
    InvalidError,
    MissingFileError,
    Position,
    ProvisionError,
    suggestion,
)
from personaplex_provision.language import lazy, source
from personaplex_provision.language.blame import explain, place
from personaplex_provision.language.boxes import CURRENT, OMIT, Absent, Boxed, Frame, Missing, Scope, opened
from personaplex_provision.language.engine import FRAME, engine, file_template, file_text, text_template
from personaplex_provision.language.jinja import Template
from personaplex_provision.language.lazy import LazyDict, LazyList
from personaplex_provision.language.source import Sealed, position_of
from personaplex_provision.language.values import Pending, Unknown
from personaplex_provision.language.vault import VaultKeys, is_vault

__all__ = ["OMIT", "Scope", "Templar", "inert"]


class Templar:
    """Renders values, conditions and files for one host.

    `variables` are looked up by name; `results` holds what tasks registered, by the address an `Unknown` carries;
    `search_path` are the directories that relative paths start from (role, then playbook), nearest first; `origin`
    tells where a variable was defined, for messages.
    """

    def __init__(
        self,
        variables: Mapping[str, Any],
        *,
        search_path: Sequence[str] = (),
        results: Mapping[str, Any] | None = None,
        vault: VaultKeys | None = None,
        origin: Callable[[str], str] | None = None,
    ) -> None:
        self.variables = variables
        self.search_path = tuple(str(one) for one in search_path)
        self.results = results if results is not None else {}
        self.vault = vault
        self.origin = origin
        self._cache: dict[str, Any] = {}

    def with_variables(self, extra: Mapping[str, Any]) -> Templar:
        """The same, with `extra` in front of the other variables."""
        layers = self.variables.maps if isinstance(self.variables, ChainMap) else [self.variables]
        merged: ChainMap[str, Any] = ChainMap(extra, *layers)  # type: ignore[arg-type]
        return Templar(
            merged, search_path=self.search_path, results=self.results, vault=self.vault, origin=self.origin
        )

    def render(self, value: Any, position: Position | None = None) -> Any:
        """`value` with all templates in it rendered, as plain data; keys whose value is `omit` are gone.

        Raises InvalidError with everything wrong in `value`, else Pending when some of it is not known yet.
        """
        if isinstance(value, str):
            if not lazy.is_template(value):
                return value
            return self._render(value, "", None, position_of(value, position))
        if value is None or isinstance(value, (bool, int, float, Secret)) or value is OMIT:
            return value
        if isinstance(value, (Mapping, list, tuple)) and not isinstance(value, Scope):
            return self._container(value, position)
        return self._through(value, position)

    def expression(self, text: str, position: Position | None = None) -> Any:
        """The value of an expression written without braces."""
        if lazy.is_template(text):
            return self.render(text, position)
        return self._render("{{" + text + "}}", "", None, position_of(text, position))

    def condition(self, expression: Any, position: Position | None = None) -> bool:
        """Whether a `when` holds: a boolean, an expression, or a list of which all must hold.

        The result has to be a boolean, as in Ansible. Raises InvalidError, Pending.
        """
        if isinstance(expression, bool):
            return expression
        if isinstance(expression, (list, tuple)):
            at = getattr(expression, "at", None)
            return all(
                self.condition(one, at(index) if at else position) for index, one in enumerate(expression)
            )
        where = position_of(expression, position)
        if isinstance(expression, Unknown):
            expression = self._through(expression, position)
        if not isinstance(expression, str):
            return self._boolean(expression, str(expression), where)
        if not expression.strip():
            raise InvalidError(Diagnostic("the condition is empty", position=where))
        text = str(expression) if lazy.is_template(expression) else "{{" + expression + "}}"
        return self._boolean(self._render(text, "", None, where, bare=True), str(expression), where)

    def render_file(self, path: str, position: Position | None = None) -> str | Secret:
        """The text a template file gives, as Ansible's `template` renders it.

        A first line `#jinja2: trim_blocks:False, lstrip_blocks:True` sets Jinja's options. The last newline is kept.
        `path` is looked for in `templates/` of the search path. Raises MissingFileError, InvalidError, Pending.
        """
        found = self.find(path, "templates")
        if found is None:
            raise self.not_found(path, "templates", position)
        text = file_text(found, position)
        secret_file = is_vault(text)
        if secret_file:
            text = self.keys(position).decrypt(text, Position(found)).decode("utf-8")
        options, body = _header(text, found)
        frame = Frame(self, "", body, Position(found), None)
        if secret_file:
            frame.touched[os.path.basename(found)] = Secret(text, os.path.basename(found))
        environment = engine(options)

        def compiled() -> Template:
            shift = 0 if body is text else 1
            return file_template(environment, found, body, shift=shift, cached=not secret_file)

        own = {"ansible_managed": "Ansible managed", "template_path": path, "template_fullpath": os.path.abspath(found)}
        extra = {key: value for key, value in own.items() if key not in self.variables}
        rendered: str = self._run(compiled, frame, _as_text, extra)
        return frame.seal(rendered) if frame.touched else rendered

    def find(self, path: str, kind: str, *, beside: str | None = None) -> str | None:
        """The first file of that name: absolute, beside the file `beside`, in `kind`/ of the search path, or in it."""
        wanted = os.path.expanduser(path)
        if os.path.isabs(wanted):
            return wanted if os.path.exists(wanted) else None
        for candidate in self.candidates(wanted, kind, beside):
            if os.path.exists(candidate):
                return candidate
        return None

    def candidates(self, path: str, kind: str, beside: str | None = None) -> list[str]:
        """Where a relative path is looked for, in order."""
        found = [os.path.join(os.path.dirname(beside), path)] if beside and os.path.isabs(beside) else []
        for base in self.search_path:
            found += [os.path.join(base, kind, path), os.path.join(base, path)]
        return [os.path.abspath(one) for one in found] or [os.path.abspath(path)]

    def not_found(self, path: str, kind: str, position: Position | None = None) -> MissingFileError:
        """The error for a path that `find` did not find, with where it looked."""
        places = [path] if os.path.isabs(path) else self.candidates(path, kind)
        near: list[str] = []
        for one in places:
            folder = os.path.dirname(one)
            near += os.listdir(folder) if os.path.isdir(folder) else []
        detail = "\n".join(f"searched: {one}" for one in places)
        return MissingFileError(
            Diagnostic(f"there is no file {path}", detail, position, suggestion(os.path.basename(path), near))
        )

    def keys(self, position: Position | None = None) -> VaultKeys:
        """The vault passwords. Raises InvalidError when there are none."""
        if self.vault is None:
            raise InvalidError(Diagnostic(
                "this is encrypted with ansible-vault and no vault password was given", position=position,
                hint="give --vault-password-file, --vault-id or -J",
            ))
        return self.vault

    # What follows is for `lazy` and `engine`, in the middle of a render.

    def has(self, name: str) -> bool:
        return name in self.variables or name in ("omit", "vars")

    def variable(self, name: str, frame: Frame) -> Any:
        if name not in self.variables:
            return OMIT if name == "omit" else LazyDict(self.variables, self, frame, "", False)
        raw = self.variables[name]
        if not isinstance(raw, str) or not lazy.is_template(raw):
            return lazy.enter(raw, self, frame, name, False)
        if name in self._cache:
            return lazy.enter(self._cache[name], self, frame, name, True)
        before, frame.settled = frame.settled, True
        try:
            found = self.nested(raw, name, frame, position_of(raw))
        except Absent as error:
            return error.missing
        finally:
            settled, frame.settled = frame.settled, frame.settled and before
        if settled:
            self._cache[name] = found
        return lazy.enter(found, self, frame, name, True)

    def nested(self, text: str, label: str, frame: Frame, position: Position | None) -> Any:
        return self._render(text, label, frame, position_of(text, position))

    def result(self, unknown: Unknown) -> Any:
        if unknown.address not in self.results:
            raise Pending(unknown)
        return self.results[unknown.address]

    def unseal(self, sealed: Sealed, label: str) -> Secret:
        data = self.keys(sealed.position).decrypt(sealed.text, sealed.position)
        return Secret(data.decode("utf-8", "surrogateescape"), label or "secret")

    def _render(
        self, text: str, label: str, parent: Frame | None, position: Position | None, *, bare: bool = False
    ) -> Any:
        frame = Frame(self, label, text, position, parent)
        if parent is not None:
            _refuse_cycle(frame, parent)

        def finish(chunks: list[Any], frame: Frame) -> Any:
            value = chunks[0] if len(chunks) == 1 else _as_text(chunks, frame) if chunks else None
            if text.endswith("\n") and isinstance(value, (str, Boxed)):
                value = _ended(opened(value), text)
            if len(chunks) == 1:
                if parent is not None and isinstance(value, (LazyDict, LazyList)) and not frame.touched:
                    return value
                if bare and isinstance(value, bool):
                    return value
            return lazy.leave(value, frame)

        try:
            return self._run(lambda: text_template(text), frame, finish)
        finally:
            if parent is not None and not frame.settled:
                parent.settled = False

    def _run(
        self,
        compiled: Callable[[], Template],
        frame: Frame,
        finish: Callable[[list[Any], Frame], Any],
        extra: Mapping[str, Any] = MappingProxyType({}),
    ) -> Any:
        token = CURRENT.set(frame)
        try:
            template = compiled()
            context = template.new_context({FRAME: frame, **extra}, shared=True)
            return finish(list(template.root_render_func(context)), frame)
        except (Pending, ProvisionError):
            raise
        except Absent as error:
            diagnostic = explain(error, frame)
            if frame.parent is None:
                raise InvalidError(diagnostic) from None
            missing = Missing(hint=diagnostic.summary)
            missing.diagnostic = diagnostic
            raise Absent(missing) from None
        except Exception as error:
            raise InvalidError(explain(error, frame)) from None
        finally:
            CURRENT.reset(token)

    def _through(self, value: Any, position: Position | None) -> Any:
        """A value that is not a template but needs opening: sealed, unknown, another host's variables."""
        frame = Frame(self, "", "", position, None)
        return lazy.leave(lazy.enter(value, self, frame, "", False, position), frame)

    def _container(self, value: Any, position: Position | None) -> Any:
        findings = Findings()
        pending: Pending | None = None
        at = getattr(value, "at", None)
        pairs = list(value.items()) if isinstance(value, Mapping) else list(enumerate(value))
        kept: list[tuple[Any, Any]] = []
        for key, item in pairs:
            try:
                if isinstance(item, Sealed):
                    rendered: Any = self.unseal(item, str(key))
                else:
                    rendered = self.render(item, at(key) if at else position)
            except Pending as error:
                pending = pending or error
            except ProvisionError as error:
                findings.take(error)
            else:
                if rendered is not OMIT:
                    kept.append((key, rendered))
        findings.raise_if_any()
        if pending is not None:
            raise pending
        if not isinstance(value, Mapping):
            return [item for _, item in kept]
        if not isinstance(value, source.Mapping):
            return dict(kept)
        found = source.Mapping(kept, position=value.position)
        found.key_positions, found.value_positions = value.key_positions, value.value_positions
        found.written = value.written
        return found

    def _boolean(self, value: Any, text: str, position: Position | None) -> bool:
        if isinstance(value, bool):
            return value
        shown, kind = repr(value), _KINDS.get(type(value).__name__, type(value).__name__)
        if isinstance(value, (str, Secret)):
            hint = f"write `({text}) | length > 0` for text that is not empty, or `({text}) | bool` for yes and no"
        elif isinstance(value, (Mapping, list)):
            hint = f"write `({text}) | length > 0`"
        elif value is None:
            hint = f"write `({text}) is not none`"
        else:
            hint = f"write `({text}) != 0` or `({text}) | bool`"
        if re.fullmatch(r"[\w.]+", text):
            hint = hint.replace(f"({text})", text)
        frame = Frame(self, "", text, position, None)
        raise InvalidError(Diagnostic(
            f"the condition gives {kind}, not true or false", f"it gave {shown[:200]}", place(frame, 1, ""), hint
        ))


_KINDS = {"str": "text", "Text": "text", "Unsafe": "text", "int": "a number", "Int": "a number", "float": "a number",
          "Float": "a number", "Secret": "a secret text", "list": "a list", "dict": "a mapping", "NoneType": "nothing"}
_OPTIONS = ("block_start_string", "block_end_string", "variable_start_string", "variable_end_string",
            "comment_start_string", "comment_end_string", "line_statement_prefix", "line_comment_prefix",
            "trim_blocks", "lstrip_blocks", "newline_sequence", "keep_trailing_newline")


def inert(value: Any) -> Any:
    """`value`, from a host or another untrusted place, such that no text in it is ever taken for a template."""
    if isinstance(value, str):
        return lazy.protected(value)
    if isinstance(value, dict):
        return {key: inert(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [inert(item) for item in value]
    return value


def _as_text(chunks: list[Any], _frame: Frame) -> str:
    return "".join([lazy.text(one) for one in chunks])


def _ended(value: str, template: str) -> str:
    """`value` with as many new lines at its end as the template has, as in Ansible; Jinja itself drops one."""
    wanted = len(template) - len(template.rstrip("\n"))
    return value + "\n" * (wanted - (len(value) - len(value.rstrip("\n"))))


def _refuse_cycle(frame: Frame, parent: Frame) -> None:
    names = [frame.label]
    one: Frame | None = parent
    while one is not None:
        names.append(one.label)
        if one.label == frame.label and one.templar is frame.templar and one.text == frame.text:
            trail = " → ".join(f'"{name}"' for name in reversed(names) if name)
            raise InvalidError(Diagnostic(
                "a variable's value needs itself", trail, frame.position or parent.position,
                "give one of them a value that does not read the others",
            ))
        one = one.parent


def _header(text: str, path: str) -> tuple[tuple[tuple[str, Any], ...], str]:
    """Jinja's options in a `#jinja2:` first line, and the text without that line."""
    options: dict[str, Any] = {"keep_trailing_newline": True}
    if not text.startswith("#jinja2:"):
        return tuple(options.items()), text
    header, _, rest = text.partition("\n")
    for pair in header[len("#jinja2:") :].split(","):
        if not pair.strip():
            continue
        key, colon, value = (one.strip() for one in pair.partition(":"))
        if not colon or key not in _OPTIONS:
            hint = suggestion(key, _OPTIONS) or f"it may set: {', '.join(_OPTIONS)}"
            summary = f'"{key}" is not an option of a #jinja2 header'
            raise InvalidError(Diagnostic(summary, "", Position(path, 1, 1), hint))
        value = value.strip("'\"")
        options[key] = {"true": True, "false": False}.get(value.lower(), value)
    return tuple(sorted(options.items())), rest
