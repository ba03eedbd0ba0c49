"""Jinja, imported without what that would do for nothing that we use."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from personaplex_provision.agent.start import Later
from personaplex_provision.language.patterns_later import patterns_later


def _getattr_static(*args: Any) -> Any:
    return importlib.import_module("inspect").getattr_static(*args)


@contextlib.contextmanager
def _thrifty() -> Iterator[None]:
    """Inside the block nothing loads `inspect`, for one function of one filter, nor what keeps compiled templates."""
    inspect: Any = sys.modules.get("inspect")
    if isinstance(inspect, Later):
        inspect.getattr_static = _getattr_static
    keeping: Any = ModuleType("jinja2.bccache")
    keeping.__getattr__ = lambda _name: None
    sys.modules["jinja2.bccache"] = keeping
    try:
        with patterns_later():
            yield
    finally:
        del sys.modules["jinja2.bccache"]
        if isinstance(inspect, Later):
            del inspect.getattr_static


with _thrifty():
    from jinja2 import Template, TemplateNotFound, TemplateRuntimeError, TemplateSyntaxError, nodes, pass_environment
    from jinja2.compiler import CodeGenerator
    from jinja2.compiler import Frame as CompilerFrame
    from jinja2.defaults import DEFAULT_NAMESPACE
    from jinja2.exceptions import UndefinedError
    from jinja2.filters import do_unique
    from jinja2.runtime import Context, Macro, StrictUndefined, Undefined
    from jinja2.sandbox import SandboxedEnvironment
    from jinja2.utils import missing

__all__ = [
    "DEFAULT_NAMESPACE",
    "CodeGenerator",
    "CompilerFrame",
    "Context",
    "Macro",
    "SandboxedEnvironment",
    "StrictUndefined",
    "Template",
    "TemplateNotFound",
    "TemplateRuntimeError",
    "TemplateSyntaxError",
    "Undefined",
    "UndefinedError",
    "do_unique",
    "missing",
    "nodes",
    "pass_environment",
]
