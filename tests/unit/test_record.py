"""Records do what dataclasses do: every class here is made twice from one text, by each, and held side by side."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
import subprocess
import sys
import textwrap
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_provision.agent import record
from tests.unit.interpreters import interpreters

HEAD = "from __future__ import annotations\nfrom typing import Any, ClassVar, Generic, TypeVar\nimport typing\n"
OURS = HEAD + "from personaplex_provision.agent.record import dataclass, field\n"
REAL = HEAD + "from dataclasses import dataclass, field\n"

PLAIN = '''
@dataclass
class Case:
    """What it is."""
    a: Any
    b: str = "b"
    c: list[int] = field(default_factory=list)
    d: dict[str, Any] = field(default_factory=lambda: {"x": 1})
    kind: ClassVar[str] = "plain"
    also: typing.ClassVar[dict] = {}
    @property
    def twice(self): return self.a * 2
'''
FROZEN = '''
@dataclass(frozen=True)
class Case:
    a: Any
    b: int = 2
    c: tuple = field(default=(1, 2), repr=False)
    def more(self): return self.b + 1
'''
ORDERED = "@dataclass(frozen=True, order=True)\nclass Case:\n    a: Any\n    b: int = 0\n"
SAID = '''
@dataclass
class Case:
    a: Any = field(compare=False)
    b: int = field(default=1, repr=False, metadata={"observed": True})
    c: int = field(default=3, init=False)
    d: list = field(default_factory=list, init=False)
    e: int = 0
    def __post_init__(self): self.e += 1
'''
INHERITED = '''
@dataclass
class Base:
    a: Any
    b: int = 1
    c: list = field(default_factory=list)
@dataclass
class Other:
    x: int = 9
@dataclass
class Case(Other, Base):
    b: int = 5
    d: str = "d"
    def __post_init__(self): self.d += "!"
'''
FROZEN_BELOW = FROZEN.replace("Case", "Base") + '''
class Between(Base):
    loose = 1
@dataclass(frozen=True)
class Case(Between):
    d: int = 4
'''
OWN_METHODS = '''
@dataclass
class Case:
    a: Any
    b: int = 1
    def __eq__(self, other): return True
    def __hash__(self): return 7
    def __repr__(self): return "own"
'''
GENERIC = 'T = TypeVar("T")\n@dataclass\nclass Case(Generic[T]):\n    a: T\n    b: int = 1\n'
HASHED = "@dataclass(frozen=True)\nclass Case:\n    a: Any\n    b: int = field(default=1, hash=False)\n"
IDENTICAL = "@dataclass(eq=False)\nclass Case:\n    a: Any\n    b: int = 1\n"
NO_FUTURE = '''
@dataclass
class Case:
    a: Any
    kind: ClassVar[str] = ""
    b: int = 1
'''
CASES = {
    "plain": PLAIN, "frozen": FROZEN, "ordered": ORDERED, "said": SAID, "inherited": INHERITED,
    "frozen_below": FROZEN_BELOW, "own_methods": OWN_METHODS, "generic": GENERIC, "hashed": HASHED,
    "identical": IDENTICAL, "no_future": NO_FUTURE,
}


def _made(head: str, body: str) -> Any:
    head = head.replace("from __future__ import annotations\n", "") if body is NO_FUTURE else head
    return _module(head + body).Case


def _module(*texts: str) -> Any:
    # The real decorator looks there for what `typing` is called.
    module = sys.modules["case"] = types.ModuleType("case")
    for text in texts:
        exec(compile(text, "case", "exec", dont_inherit=True), vars(module))
    return module


@pytest.fixture(params=CASES)
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """The same class of both makes."""
    body = CASES[request.param]
    return _made(OURS, body), _made(REAL, body)


def _outcome(act: Callable[..., Any], *given: Any) -> Any:
    """What an act gives, or the type and words of what it raises."""
    try:
        return act(*given)
    except Exception as error:
        return type(error), str(error)


def _same(pair: tuple[Any, Any], act: Callable[..., Any], *given: Any) -> None:
    ours, real = (_outcome(act, cls, *given) for cls in pair)
    assert ours == real


@pytest.mark.parametrize("positional, named", [
    ([], {}), ([1], {}), ([1, 2], {}), ([1, 2, 3], {}), ([1] * 9, {}), ([], {"a": 1}), ([1], {"b": 5}), ([1], {"a": 2}),
    ([1], {"nothing": 1}), ([1], {"c": 3}), ([1], {"d": 3}), ([1], {"e": 3}), ([1], {"kind": 3}),
])
def test_an_instance_has_the_same_values_or_is_refused_in_the_same_words(
    pair: tuple[Any, Any], positional: list[Any], named: dict[str, Any]
) -> None:
    _same(pair, lambda cls: vars(cls(*positional, **named)))
    _same(pair, lambda cls: vars(cls(*positional, **named)))  # by what the first instance left behind
    _same(pair, lambda cls: repr(cls(*positional, **named)))


SCALARS = st.one_of(st.integers(-3, 3), st.text("ab", max_size=2), st.none(), st.lists(st.integers(0, 2), max_size=2))


VALUES = st.lists(SCALARS, min_size=1, max_size=3)


@given(st.sampled_from(sorted(CASES)), VALUES, VALUES)
def test_equality_order_hash_and_text_are_the_same(name: str, one: list[Any], two: list[Any]) -> None:
    body = CASES[name]
    pair = _made(OURS, body), _made(REAL, body)
    _same(pair, lambda cls: cls(*one) == cls(*two))
    _same(pair, lambda cls: cls(*one) != cls(*two))
    _same(pair, lambda cls: cls(*one) == object())
    _same(pair, lambda cls: repr(cls(*one)))
    for sign in ("__lt__", "__le__", "__gt__", "__ge__"):
        ours, real = (_outcome(lambda cls, sign: getattr(cls(*one), sign)(cls(*two)), cls, sign) for cls in pair)
        assert ours == real or {ours[0], real[0]} == {TypeError}
    if pair[1].__hash__ not in (None, object.__hash__):
        _same(pair, lambda cls: hash(cls(*one)) == hash(cls(*two)))
    else:
        assert pair[0].__hash__ is pair[1].__hash__


def test_what_is_frozen_refuses_as_the_real_thing_does(pair: tuple[Any, Any]) -> None:
    for attribute in ("a", "loose", "unheard"):
        _same(pair, lambda cls, name: setattr(cls(1), name, 2), attribute)
        _same(pair, lambda cls, name: delattr(cls(1), name), attribute)

    def below(cls: Any) -> Any:
        one = type("Below", (cls,), {})(1)
        one.extra = 5
        del one.extra
        one.a = 2
        return vars(one)

    _same(pair, below)


def test_the_class_keeps_what_a_class_has(pair: tuple[Any, Any]) -> None:
    ours, real = pair
    for name in ("a", "b", "c", "d", "kind", "also", "__match_args__", "__annotations__"):
        _same(pair, getattr, name)
    assert ours.__name__ == real.__name__


SPOKEN = ("name", "type", "init", "repr", "hash", "compare", "metadata")


def _fields(listed: Any, missing: Any) -> list[Any]:
    return [
        [*(getattr(one, name) for name in SPOKEN), one.default is missing or one.default,
         one.default_factory is missing or one.default_factory()]
        for one in listed
    ]


def test_its_fields_are_those_of_the_real_thing_in_both_functions(pair: tuple[Any, Any]) -> None:
    ours, real = pair
    wanted = _fields(dataclasses.fields(real), dataclasses.MISSING)
    made = ours(1)
    of: Any
    for of in (ours, made, type("Below", (ours,), {})):
        assert _fields(record.fields(of), record.MISSING) == wanted
        assert _fields(dataclasses.fields(of), dataclasses.MISSING) == wanted
    assert _fields(record.fields(real), record.MISSING) == wanted
    assert dataclasses.is_dataclass(ours) and dataclasses.is_dataclass(made)
    with pytest.raises(TypeError):
        record.fields(wanted)  # type: ignore[arg-type]


def test_copies_are_the_same_in_both_functions(pair: tuple[Any, Any]) -> None:
    for function in (record.replace, dataclasses.replace):
        for name in ("a", "b", "nothing"):
            _same(pair, lambda cls, function, name: vars(function(cls(1), **{name: 3})), function, name)
    _same(pair, lambda cls: dataclasses.asdict(cls([1, {2: 3}])))
    _same(pair, lambda cls: vars(copy.deepcopy(cls([1]))))


def test_it_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(Pickled(1, [2]))) == Pickled(1, [2])


@record.dataclass(frozen=True)
class Pickled:
    """Something to pickle."""

    a: int
    b: list[int]


MIXES = {
    "real on ours": (OURS, REAL), "ours on real": (REAL, OURS), "real": (REAL, REAL), "ours": (OURS, OURS),
}


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("mix", MIXES)
def test_one_may_be_the_base_of_the_other(mix: str, frozen: bool) -> None:
    said = f"@dataclass(frozen={frozen})\n"
    base = said + (
        "class Base:\n    a: int\n    b: list = field(default_factory=list)\n    kind: ClassVar[str] = 'k'\n"
        "    c: int = field(default=4, metadata={'observed': True})\n"
    )
    below = said + "class Case(Base):\n    d: str = 'd'\n    c: int = field(default=5, compare=False)\n"
    first, second = MIXES[mix]
    module = _module(first + base, second + below)
    cls = module.Case
    one = cls(1, [2])
    assert vars(one) == {"a": 1, "b": [2], "c": 5, "d": "d"} and repr(one) == "Case(a=1, b=[2], c=5, d='d')"
    assert one == cls(1, [2], 9) and one != cls(1, [2], 5, "e") and one != module.Base(1, [2])
    for function in (record, dataclasses):
        assert [field.name for field in function.fields(cls)] == ["a", "b", "c", "d"]
        assert vars(function.replace(one, a=7)) == {"a": 7, "b": [2], "c": 5, "d": "d"}


def test_a_field_of_ours_is_taken_by_the_real_decorator() -> None:
    """A kind of a user's own library says `@dataclass` of the standard library, and `observed()` of ours."""
    text = "from dataclasses import dataclass\nfrom personaplex_provision.agent.resource import Resource, observed\n" \
        "@dataclass\nclass Case(Resource):\n    path: str\n    found: str = observed('x')\n"
    one = _module(text).Case("p")
    assert vars(one) == {"path": "p", "found": "x"} and one.managed() == []


def test_many_threads_may_make_the_first_instance() -> None:
    for _ in range(50):
        cls = _made(OURS, INHERITED)
        start = threading.Barrier(8)
        made: list[Any] = []

        def make(cls: Any = cls, start: threading.Barrier = start, made: list[Any] = made) -> None:
            start.wait()
            made.append(vars(cls(1, d="x")))

        threads = [threading.Thread(target=make) for _ in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert made == [{"x": 9, "a": 1, "b": 5, "c": [], "d": "x!"}] * 8


def test_a_value_that_holds_itself_has_a_text() -> None:
    cls = _made(OURS, PLAIN)
    one = cls(1)
    one.a = one
    assert repr(one) == "Case(a=..., b='b', c=[], d={'x': 1})"


def test_a_default_that_all_instances_would_share_is_refused() -> None:
    with pytest.raises(ValueError, match="mutable default"):
        _made(OURS, "@dataclass\nclass Case:\n    a: list = []\n")()


@pytest.mark.parametrize("version, python", interpreters().items())
def test_neither_making_nor_using_records_imports_dataclasses(version: str, python: str) -> None:
    bare = OURS.replace("from typing import Any, ClassVar, Generic, TypeVar\nimport typing\n", "")
    text = bare + FROZEN + textwrap.dedent("""
        import sys
        from personaplex_provision.agent.record import fields, replace
        one = Case(1)
        assert one == Case(1) and hash(one) == hash(Case(1)) and repr(one) and fields(one) and replace(one, b=3).b == 3
        print(sorted({"dataclasses", "inspect", "typing", "re"} & set(sys.modules)))
        import dataclasses
        assert [field.name for field in dataclasses.fields(one)] == ["a", "b", "c"] and dataclasses.asdict(one)
    """)
    done = subprocess.run(
        [python, "-S", "-c", text], capture_output=True, text=True, env={"PYTHONPATH": "."}, check=False,
    )
    assert done.stdout == "[]\n", (version, done.stderr)


def test_no_module_of_ours_imports_the_real_ones_at_its_start() -> None:
    package = Path(record.__file__).parents[1]
    importing = [
        one.name for one in sorted(package.rglob("*.py"))
        if re.search(r"^(from dataclasses import|import dataclasses)", one.read_text(), re.MULTILINE)
    ]
    assert importing == ["shape.py"]  # whose subject they are; it is for saved plans alone
