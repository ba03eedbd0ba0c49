"""What travels to a target."""

from __future__ import annotations

import ast
import marshal
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.agent import record, task
from personaplex_provision.agent.start import APART, Memory
from personaplex_provision.executors import bundle, initializers, remembered, stripping

SAMPLE = '''"""About the module."""
from __future__ import annotations

X = 1  # a comment
"About X."
TEXT = "# not a comment"


class Empty:
    """Only this."""


def f(
    a: int = 3,  # another
) -> str:
    """Says é.

    More.
    """
    return "\\n".join(["""kept
    as it is""", TEXT])
'''.encode()


def test_stripping_removes_documentation_and_comments_and_keeps_every_line_number() -> None:
    text = stripping.source(SAMPLE).decode()
    assert "About" not in text and "a comment\n" not in text.replace("# not a comment", "")
    assert '"# not a comment"' in text and "kept\n    as it is" in text
    where = {node.name: node.lineno for node in ast.walk(ast.parse(SAMPLE)) if isinstance(node, ast.FunctionDef)}
    assert where == {n.name: n.lineno for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef)}
    scope: dict[str, object] = {}
    exec(compile(text, "sample", "exec"), scope)
    assert scope["f"]() == "kept\n    as it is\n# not a comment"  # type: ignore[operator]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="this Python has no columns")
def test_compiled_code_tells_the_line_of_every_instruction_and_no_column() -> None:
    codes: Any = stripping.compiled(SAMPLE, "sample"), compile(SAMPLE, "sample", "exec")
    found, plain = (next(one for one in code.co_consts[::-1] if hasattr(one, "co_positions")) for code in codes)
    assert [line for line, *_ in found.co_positions()] == [line for line, *_ in plain.co_positions()]
    assert {tuple(columns) for _, _, *columns in found.co_positions()} <= {(None, None), (0, 0)}


@pytest.mark.parametrize("name", sorted(bundle._sources()))
def test_both_forms_of_a_module_mean_the_same(name: str) -> None:
    text = bundle._sources()[name][1]
    assert ast.dump(stripping.bare(stripping.source(text))) == ast.dump(stripping.bare(text))


def test_a_compiled_engine_brings_the_initializers_of_its_records_and_source_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = {}
    for compiled in (True, False):
        modules = marshal.loads(zlib.decompress(bundle.build(bundle._sources(), compiled, ["user"])))
        _, ready, content = modules[initializers.MODULE]
        scope: dict[str, Any] = {}
        exec(marshal.loads(content) if ready else content, scope)
        found[compiled] = scope["KNOWN"]
    assert not found[False]
    assert {"<fields of Task>", "<fields of User>"} <= {name for name, _ in found[True]}
    brought = dict(found[True])
    monkeypatch.setattr(record, "KNOWN", brought)
    made = vars(task.Task)["__dataclass_fields__"].shape.initializer()
    assert made.__qualname__ == "Task.__init__" and brought == found[True]  # what is compiled would be added


@pytest.mark.parametrize("compiled", [True, False])
def test_equal_sources_give_equal_bytes_and_hold_every_module_of_the_agent(compiled: bool) -> None:
    sources = bundle._sources()
    data = bundle.build(sources, compiled)
    assert data == bundle.build(dict(reversed(sources.items())), compiled)
    modules = marshal.loads(zlib.decompress(data))
    apart = marshal.loads(zlib.decompress(modules.pop(APART)[2])) if compiled else {}
    names = {*modules, *apart}
    assert all(name.startswith(bundle.KINDS) for name in apart)
    assert names == set(sources) and "personaplex_provision.agent.start" in names
    assert not [name for name in names if not name.startswith("personaplex_provision.agent")][1:]


def test_what_came_apart_is_unpacked_for_a_module_that_is_not_among_the_others_alone() -> None:
    sources = bundle._sources()
    modules = marshal.loads(zlib.decompress(bundle.build(sources, True, ["copy"])))
    packed = modules[APART]
    memory = Memory({**modules, APART: (False, False, b"never unpacked")})
    for name in ("personaplex_provision.agent.main", f"{bundle.KINDS}copy"):
        assert memory.find_spec(name, None) is not None
    assert memory.find_spec("json", None) is None
    memory = Memory({**modules, APART: packed})
    spec = memory.find_spec(f"{bundle.KINDS}git", None)
    assert spec is not None and "git" in (memory.get_source(spec.name) or "")
    assert memory.find_spec(f"{bundle.KINDS}of_the_user", None) is None
    assert memory.compiled() == modules


def test_a_damaged_cache_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bundle._bundle.cache_clear()
    whole = bundle.bundle(False)
    (file,) = (path for path in (tmp_path / "provision").iterdir() if path.is_file())
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    bundle._bundle.cache_clear()
    assert bundle.bundle(False) == whole
    assert bundle._opened(file.read_bytes()) == whole
    bundle._bundle.cache_clear()


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "provision").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bundle._bundle.cache_clear()
    assert bundle.bundle(False)
    remembered.remember("somewhere", remembered.Known("cpython-39"))
    assert remembered.recall("somewhere") == remembered.Known()
    bundle._bundle.cache_clear()
