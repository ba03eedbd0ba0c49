"""Jinja tests (`is …`): the same answers as Ansible's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pytest
from ansible.plugins.test.core import TestModule as CoreTests  # type: ignore[import-untyped]
from ansible.plugins.test.mathstuff import TestModule as MathTests  # type: ignore[import-untyped]
from ansible.plugins.test.uri import TestModule as UriTests  # type: ignore[import-untyped]

from personaplex_provision.errors import InvalidError
from personaplex_provision.language.engine import engine
from personaplex_provision.language.templates import Templar


@lru_cache
def their_tests() -> dict[str, Callable[..., Any]]:
    return {**CoreTests().tests(), **MathTests().tests(), **UriTests().tests()}


@pytest.mark.parametrize(
    ("name", "value", "args", "options"),
    [
        *[
            ("version", one, [other, sign], {})
            for one, other in (("1.10", "1.9"), ("2.0b1", "2.0"), ("5.15.0-89-generic", "5.4"), ("1", "1.0"))
            for sign in ("<", "<=", "eq", "ne", ">", ">=", "==", "!=")
        ],
        *[
            ("version", one, [other, "lt"], {"version_type": "semver"})
            for one, other in (
                ("1.2.3", "1.2.10"),
                ("1.0.0-rc.1", "1.0.0"),
                ("1.0.0-alpha.1", "1.0.0-alpha.beta"),
                ("1.0.0+b", "1.0.0"),
            )
        ],
        *[
            ("version", one, [other, "lt"], {"version_type": "pep440"})
            for one, other in (
                ("1.0rc1", "1.0"),
                ("1.0.dev1", "1.0a1"),
                ("1.0.post1", "1.0"),
                ("1!0.1", "2.0"),
                ("1.0", "1.0.0"),
                ("1.0a1.dev1", "1.0a1"),
            )
        ],
        ("version", "1.2", ["1.10", "lt"], {"strict": True}),
        ("match", "abc", ["b"], {}),
        ("match", "abc", ["a"], {}),
        ("search", "abc", ["B"], {"ignorecase": True}),
        ("regex", "abc", ["^b"], {}),
        ("subset", [1], [[1, 2]], {}),
        ("superset", [1], [[1, 2]], {}),
        ("contains", [1, 2], [2], {}),
        ("truthy", "no", [], {}),
        ("truthy", "no", [], {"convert_bool": True}),
        ("falsy", "", [], {}),
        ("all", [True, False], [], {}),
        ("any", [True, False], [], {}),
        ("url", "http://a/b", [], {}),
        ("url", "a/b", [], {}),
        ("uri", "urn:x", [["urn"]], {}),
        ("urn", "http://x", [], {}),
        ("changed", {"changed": True}, [], {}),
        ("changed", {"results": [{"changed": False}, {"changed": True}]}, [], {}),
        ("failed", {"failed": True}, [], {}),
        ("succeeded", {}, [], {}),
        ("skipped", {"skipped": True}, [], {}),
        ("unreachable", {}, [], {}),
        ("nan", 1.0, [], {}),
    ],
)
def test_a_test_answers_as_ansibles_does(name: str, value: Any, args: list[Any], options: dict[str, Any]) -> None:
    variables = {"value": value, "args": args, "options": options}
    found = Templar(variables).condition(f"value is {name}(*args, **options)")
    assert found is bool(their_tests()[name](value, *args, **options))


def test_tests_on_files_look_at_this_machine(tmp_path: Any) -> None:
    one = Templar({"here": str(tmp_path)})
    assert one.condition(
        "here is directory and here is exists and here is abs and here is not file and here is not link"
    )


def test_a_test_on_an_undefined_value_is_an_error_and_not_no() -> None:
    for text in ("x is changed", "x is none", "x is mapping", "x is match('a')", "x is sequence"):
        with pytest.raises(InvalidError, match='"x" is not defined'):
            Templar({}).condition(text)


def test_every_test_of_ansible_is_known() -> None:
    assert set(their_tests()) - set(engine().tests) == set()
