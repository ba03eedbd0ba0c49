"""Regular expressions that are kept: the same as new ones, and only those of modules."""

from __future__ import annotations

import importlib
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.cli.expressions import Expressions
from personaplex_provision.language.patterns_later import Pattern

pytestmark = pytest.mark.skipif("re._compiler" not in sys.modules, reason="this Python's compiler is elsewhere")

MODULE = r'''
import re
PLAIN = re.compile(r"(?P<word>[a-zé]+)\s*=\s*(\d+)?|[^\x00-\x1f]{3}")
BYTES = re.compile(rb"^\s*(?:yes|no)$", re.MULTILINE | re.IGNORECASE)
SAME = re.compile("abc"), re.compile("abc", re.VERBOSE)
ALL = [PLAIN, BYTES, *SAME]
def late(text):
    return re.compile(text)
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / "expressive.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    compiler: Any = sys.modules["re._compiler"]
    before = compiler.compile

    def load(kept: dict[Any, Any]) -> tuple[Any, Expressions]:
        compiler.compile = before
        expressions = Expressions(kept)
        expressions.use()
        re.purge()
        sys.modules.pop("expressive", None)
        return importlib.import_module("expressive"), expressions

    yield load
    compiler.compile = before
    sys.modules.pop("expressive", None)


def test_kept_expressions_are_the_same_as_new_ones_and_cost_no_compiling(
    module: Any, monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, expressions = module({})
    kept = expressions.all()
    assert {text for text, _ in kept} >= {one.pattern for one in first.ALL}
    monkeypatch.setattr(sys.modules["re._compiler"], "_code", None)
    second, _ = module(kept)
    for one, other in zip(first.ALL, second.ALL, strict=True):
        assert one == other and one is not other
        assert (one.flags, one.groups, one.groupindex) == (other.flags, other.groups, other.groupindex)
    assert second.PLAIN.match("é = 3").groupdict() == {"word": "é"}


def test_what_is_compiled_while_a_playbook_is_worked_on_is_never_kept(module: Any) -> None:
    loaded, expressions = module({})
    working = threading.Thread(target=loaded.late, args=["hunter2"])  # below the import of no module, as a command is
    working.start()
    working.join()
    assert "hunter2" not in str(expressions.all())


def test_what_a_module_put_off_is_kept(module: Any) -> None:
    _, expressions = module({})
    assert Pattern("put (off)").match("put off")
    assert ("put (off)", 0) in expressions.all()


def test_a_compiler_that_is_another_one_keeps_nothing_and_harms_nothing(
    module: Any, monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded, expressions = module({})
    monkeypatch.delattr(sys.modules["re._compiler"], "_parser")
    assert loaded.PLAIN.match("a = 3") and expressions.all() == {}
