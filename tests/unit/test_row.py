"""Rows do what the standard library's `NamedTuple` does."""

from __future__ import annotations

import copy
import pickle
import subprocess
import typing
from typing import Any

import pytest

from personaplex_provision.agent import row
from tests.unit.interpreters import interpreters


class Row(row.NamedTuple):
    """Ours."""

    a: int
    b: str = "b"
    c: tuple[int, ...] = ()

    def twice(self) -> int:
        """A method."""
        return self.a * 2

    def __str__(self) -> str:
        return f"<{self.a}>"


class Real(typing.NamedTuple):
    """The same of the standard library."""

    a: int
    b: str = "b"
    c: tuple[int, ...] = ()

    def twice(self) -> int:
        """A method."""
        return self.a * 2

    def __str__(self) -> str:
        return f"<{self.a}>"


class Below(Row):
    """Of no items of its own."""

    def thrice(self) -> int:
        """A method."""
        return self.a * 3


def test_the_two_are_the_same_in_all_that_can_be_seen_of_them() -> None:
    ours: Any
    real: Any
    for ours, real in ((Row(1), Real(1)), (Row(2, c=(3,)), Real(2, c=(3,))), (Row(a=0, b="x"), Real(a=0, b="x"))):
        assert ours == real == tuple(ours) and hash(ours) == hash(real) and [*ours] == [*real]
        assert (ours.a, ours.b, ours.c, ours.twice(), str(ours)) == (real.a, real.b, real.c, real.twice(), str(real))
        assert repr(ours) == repr(real).replace("Real", "Row")
        assert (ours._fields, ours._field_defaults) == (real._fields, real._field_defaults)
        assert ours._asdict() == real._asdict()
        assert ours._replace(b="z") == real._replace(b="z") and type(ours._replace(b="z")) is Row
        assert ours._make([1, 2, 3]) == real._make([1, 2, 3]) and ours < ours._replace(a=9)
        assert pickle.loads(pickle.dumps(ours)) == ours == copy.deepcopy(ours) and isinstance(copy.copy(ours), Row)
        with pytest.raises(AttributeError):
            ours.a = 2
        with pytest.raises(AttributeError):
            ours.other = 2


@pytest.mark.parametrize("positional, named", [([], {}), ([1, 2, 3, 4], {}), ([1], {"a": 1}), ([1], {"other": 1})])
def test_what_does_not_fit_is_refused_in_the_same_words(positional: list[Any], named: dict[str, Any]) -> None:
    told = []
    for cls in (Row, Real, Row):
        with pytest.raises(TypeError) as error:
            cls(*positional, **named)
        told.append(str(error.value).replace("Row", "Real"))
    assert len(set(told)) == 1


def test_a_class_below_a_row_has_its_items() -> None:
    assert Below(2, "x").thrice() == 6 and Below(2) == Row(2) and isinstance(Below(2), Below)


@pytest.mark.parametrize("python", interpreters().values())
def test_every_python_of_a_target_has_them_without_typing(python: str) -> None:
    text = "from __future__ import annotations\nfrom personaplex_provision.agent.row import NamedTuple\nimport sys\n" \
        "class Row(NamedTuple):\n a: int\n b: str = 'b'\n" \
        "print(Row(1), Row(b=2, a=1).b, 'typing' in sys.modules)"
    done = subprocess.run(
        [python, "-S", "-c", text], capture_output=True, text=True, env={"PYTHONPATH": "."}, check=False,
    )
    assert done.stdout == "Row(a=1, b='b') 2 False\n", done.stderr
