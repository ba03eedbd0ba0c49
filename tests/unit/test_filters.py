"""Filters: the same answers as Ansible's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pytest
from ansible.plugins.filter.core import FilterModule as Core  # type: ignore[import-untyped]
from ansible.plugins.filter.mathstuff import FilterModule as Math  # type: ignore[import-untyped]
from ansible.plugins.filter.urls import FilterModule as Urls  # type: ignore[import-untyped]

from personaplex_provision.errors import InvalidError
from personaplex_provision.language import source
from personaplex_provision.language.engine import engine
from personaplex_provision.language.filters.shacrypt import sha_crypt
from personaplex_provision.language.templates import Templar, inert

DATA = source.load(
    """
text: "Some text, 'quoted' \\"twice\\": ä \\u2028"
lines: "one\\ntwo\\n"
empty: ""
nested: [1, [2, [3, null, 4]], [], "none"]
numbers: [3, 1, 2, 3, 1]
words: [b, a, B, a]
version: 1.10
mode: 0644
mapping: {z: 1, a: {b: [1, 2], c: "x: y"}, "n": null, t: true}
other: {a: {b: [2, 3], d: 1}, z: 2}
users: [{name: alice, groups: [wheel, dev]}, {name: bob, groups: []}]
pairs: [{key: a, value: 1}, {key: b, value: [2]}]
strange: ["yes", "1", "1.10", "null", "~", "a: b", "- x", "#", "multi\\nline", " lead", "{{", "é", "0644", "tab\\t"]
""",
    "data.yml",
)


def bare(value: Any) -> Any:
    """Plain Python data, as Ansible's functions want it."""
    return json.loads(json.dumps(value))


def ours(name: str, *args: Any, **options: Any) -> Any:
    """What our filter gives, through a template."""
    names = [f"argument{index}" for index in range(len(args))]
    words = [*names[1:], *(f"{key}=option_{key}" for key in options)]
    variables = dict(zip(names, args, strict=True)) | {f"option_{key}": value for key, value in options.items()}
    return Templar({key: inert(value) for key, value in variables.items()}).render(
        f"{{{{ argument0 | {name}({', '.join(words)}) }}}}"
    )


@lru_cache
def theirs() -> dict[str, Callable[..., Any]]:
    return {**Core().filters(), **Math().filters(), **Urls().filters()}


def listed(value: Any) -> Any:
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if isinstance(value, dict):
        return {key: listed(item) for key, item in value.items()}
    return [listed(item) for item in value]


@pytest.mark.parametrize(
    ("name", "args", "options"),
    [
        ("b64encode", ["text"], {}),
        ("b64decode", ["U29tZQ=="], {}),
        ("to_uuid", ["text"], {}),
        ("to_json", ["mapping"], {}),
        ("to_json", ["mapping"], {"indent": 2, "sort_keys": True}),
        ("to_nice_json", ["mapping"], {}),
        ("to_nice_json", ["strange"], {"indent": 2}),
        ("to_json", ["text"], {}),
        ("to_yaml", ["mapping"], {}),
        ("to_nice_yaml", ["mapping"], {}),
        ("to_nice_yaml", ["strange"], {}),
        ("to_nice_yaml", ["users"], {"indent": 2}),
        ("to_nice_yaml", ["mapping"], {"sort_keys": False, "width": 20}),
        ("to_yaml", ["numbers"], {}),
        ("to_yaml", ["text"], {}),
        ("to_nice_yaml", ["lines"], {}),
        ("to_yaml", ["nested"], {}),
        ("from_json", ['{"a": [1, null]}'], {}),
        ("from_yaml", ["a: [1, yes, 'no']\nb: 1.5"], {}),
        ("from_yaml_all", ["a: 1\n---\nb: 2\n"], {}),
        ("basename", ["/a/b.c"], {}),
        ("dirname", ["/a/b.c"], {}),
        ("splitext", ["/a/b.tar.gz"], {}),
        ("path_join", [["/a", "b", "c"]], {}),
        ("path_join", [["/a", "/b"]], {}),
        ("normpath", ["/a/../b//c/."], {}),
        ("commonpath", [["/a/b/c", "/a/b/d"]], {}),
        ("relpath", ["/a/b", "/a/c"], {}),
        ("expanduser", ["/x~"], {}),
        ("win_basename", ["C:\\a\\b.c"], {}),
        ("win_dirname", ["C:\\a\\b.c"], {}),
        ("win_splitdrive", ["C:\\a"], {}),
        ("bool", ["yes"], {}),
        ("bool", ["Off"], {}),
        ("bool", [1], {}),
        ("bool", ["0"], {}),
        ("strftime", ["%Y-%m-%d %H:%M", 86400], {"utc": True}),
        ("quote", ["text"], {}),
        ("quote", [None], {}),
        ("md5", ["text"], {}),
        ("sha1", ["text"], {}),
        ("checksum", ["text"], {}),
        ("hash", ["text", "sha256"], {}),
        ("hash", ["text"], {}),
        ("split", ["a,b,,c", ","], {}),
        ("split", [" a  b "], {}),
        ("regex_replace", ["foo1bar22", r"(\d+)", r"<\1>"], {}),
        ("regex_replace", ["aAa", "a", "b"], {"ignorecase": True}),
        ("regex_replace", ["a\nab", "^a", "x"], {"multiline": True, "count": 1}),
        ("regex_search", ["foo=12 bar=3", r"(\w+)=(\d+)"], {}),
        ("regex_search", ["foo=12", r"(\w+)=(\d+)", r"\2", r"\1"], {}),
        ("regex_search", ["foo=12", r"(?P<n>\w+)=", r"\g<n>"], {}),
        ("regex_search", ["foo", "x"], {}),
        ("regex_search", ["FOO\nbar", "^BAR"], {"multiline": True, "ignorecase": True}),
        ("regex_findall", ["a1b2", r"([a-z])(\d)"], {}),
        ("regex_findall", ["A1b2", "[a-z]"], {"ignorecase": True}),
        ("regex_escape", ["a.b*[c]$^ -"], {}),
        ("regex_escape", ["a.b*[c]$^\\"], {"re_type": "posix_basic"}),
        ("ternary", [True, 1, 2], {}),
        ("ternary", ["", 1, 2], {}),
        ("ternary", [None, 1, 2, 3], {}),
        ("comment", ["lines"], {}),
        ("comment", ["lines", "c"], {}),
        ("comment", ["one", "cblock"], {}),
        ("comment", ["a\n\nb", "xml"], {}),
        ("comment", ["one", "plain"], {"prefix": "#####", "postfix": "#####\n###", "prefix_count": 2}),
        ("comment", ["one"], {"decoration": "! "}),
        ("comment", ["one", "erlang"], {"prefix": "\n", "end": "x", "beginning": "y"}),
        ("type_debug", [[1]], {}),
        ("type_debug", ["text"], {}),
        ("type_debug", [None], {}),
        ("type_debug", [1.5], {}),
        ("combine", ["mapping", "other"], {}),
        ("combine", ["mapping", "other"], {"recursive": True}),
        *[
            ("combine", ["mapping", "other"], {"recursive": True, "list_merge": how})
            for how in ("replace", "keep", "append", "prepend", "append_rp", "prepend_rp")
        ],
        ("combine", [[{"a": 1}, {"b": 2}]], {}),
        ("combine", [{"a": [1]}, {"a": [2]}], {"list_merge": "append"}),
        ("combine", [[]], {}),
        ("flatten", ["nested"], {}),
        ("flatten", ["nested"], {"levels": 1}),
        ("flatten", ["nested"], {"skip_nulls": False}),
        ("dict2items", ["mapping"], {}),
        ("dict2items", ["mapping"], {"key_name": "k", "value_name": "v"}),
        ("items2dict", ["pairs"], {}),
        ("subelements", ["users", "groups"], {}),
        ("subelements", ["users", "more"], {"skip_missing": True}),
        ("log", [100, 10], {}),
        ("log", [8], {}),
        ("pow", [2, 10], {}),
        ("root", [9], {}),
        ("root", [27, 3], {}),
        ("human_readable", [1536], {}),
        ("human_readable", [1 << 40], {"isbits": True}),
        ("human_readable", [1], {}),
        ("human_readable", [123456789], {"unit": "K"}),
        ("human_readable", [0], {}),
        ("human_to_bytes", ["1.5 GB"], {}),
        ("human_to_bytes", ["10M"], {}),
        ("human_to_bytes", ["7"], {}),
        ("human_to_bytes", ["10", "K"], {}),
        ("human_to_bytes", ["1Mb"], {"isbits": True}),
        ("rekey_on_member", ["users", "name"], {}),
        ("zip", [[1, 2], ["a", "b"]], {}),
        ("zip_longest", [[1, 2], ["a"]], {"fillvalue": "x"}),
        ("product", [[1, 2], [3]], {}),
        ("permutations", [[1, 2, 3], 2], {}),
        ("combinations", [[1, 2, 3], 2], {}),
        ("urldecode", ["a%20b+c"], {}),
        ("shuffle", [[1, 2, 3, 4]], {"seed": "host"}),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_filter_answers_as_ansibles_does(name: str, args: list[Any], options: dict[str, Any]) -> None:
    given = [DATA[one] if isinstance(one, str) and one in DATA else one for one in args]
    expected = theirs()[name](*bare(given), **options)
    assert bare(ours(name, *given, **options)) == bare(listed(expected))


@pytest.mark.parametrize("name", ["union", "intersect", "difference", "symmetric_difference"])
@pytest.mark.parametrize(
    ("first", "second"), [([3, 1, 3, 2], [2, 4, 1]), ([{"a": 1}, {"b": 2}], [{"b": 2}]), (["a"], [])]
)
def test_set_operations_hold_what_ansibles_hold_in_a_fixed_order(
    name: str, first: list[Any], second: list[Any]
) -> None:
    expected = theirs()[name](engine(), first, second)
    found = ours(name, first, second)
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert found == [one for index, one in enumerate(found) if one not in found[:index]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ [3, 1, 3] | unique }}", [3, 1]),
        ("{{ ['a', 'A'] | unique(case_sensitive=false) }}", ["a"]),
        ("{{ [[1], [1], {}] | unique }}", [[1], {}]),
        ("{{ ['a', 'b'] | map('extract', {'a': 1, 'b': 2}) }}", [1, 2]),
        ("{{ 'k' | extract({'k': {'x': [5]}}, ['x', 0]) }}", 5),
        ("{{ 5 | random(seed='h') }}", None),
        ("{{ ['a', 'b', 'c'] | random(seed='h') }}", None),
        ("{{ '2024-01-02 03:04:05' | to_datetime | string }}", "2024-01-02 03:04:05"),
        ("{{ (('2024-01-02 00:00:00' | to_datetime) - ('2024-01-01 00:00:00' | to_datetime)).days }}", 1),
        ("{{ 'http://u@h:80/p?q=1#f' | urlsplit('hostname') }}", "h"),
        ("{{ 'http://h:80/' | urlsplit('port') }}", 80),
        ("{{ x | default('d') }}", "d"),
        ("{{ '' | default('d', true) }}", "d"),
        ("{{ false | d(1) }}", False),
        ("{{ [1, 2, 3] | batch(2) | list }}", [[1, 2], [3]]),
        ("{{ ['b', 'a'] | sort | join('-') }}", "a-b"),
        (
            "{{ [{'n': 1, 'g': 'a'}, {'n': 2, 'g': 'a'}] | groupby('g') | map('last') | first"
            " | map(attribute='n') | list }}",
            [1, 2],
        ),
        ("{{ {'b': 1, 'a': 2} | dictsort }}", [["a", 2], ["b", 1]]),
        ("{{ 'p' | vault('k') | unvault('k') | length }}", "1"),
        ("{{ 3.7 | int }}", 3),
        ("{{ '12' | int + 1 }}", 13),
        ("{{ 2 ** 3 }}", 8),
        ("{{ 7 // 2 }}", 3),
        ("{{ 'a' | mandatory }}", "a"),
    ],
)
def test_other_filters(text: str, value: Any) -> None:
    found = Templar({}).render(text)
    if value is None:
        assert found == Templar({}).render(text)
    else:
        assert (found.reveal() if hasattr(found, "reveal") else found) == value


def test_random_with_a_seed_is_ansibles_choice() -> None:
    assert ours("random", 50, seed="host") == theirs()["random"](None, 50, seed="host")
    assert ours("random", ["a", "b", "c"], seed="x") == theirs()["random"](None, ["a", "b", "c"], seed="x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ 'maybe' | bool }}", "neither yes nor no"),
        ("{{ x | mandatory }}", '"x" is not defined'),
        ("{{ x | mandatory('give x') }}", "give x"),
        ("{{ [1] | combine({}) }}", "it takes mappings, not int"),
        ("{{ {} | combine({}, list_merge='all') }}", "list_merge is one of"),
        ("{{ [1] | dict2items }}", "it takes a mapping"),
        ("{{ [{'a': 1}] | subelements('b') }}", 'has no "b"; skip_missing=True'),
        ("{{ 'x' | hash('sha0') }}", "is not a hash"),
        ("{{ 'x' | password_hash('md5') }}", "sha512, sha256, blowfish"),
        ("{{ 'x' | password_hash(salt='bad salt') }}", "the salt has"),
        ("{{ '5 parsecs' | human_to_bytes }}", "parsecs"),
        ("{{ 'x' | regex_search('(', '1') }}", "is not a group"),
        ("{{ [1] | rekey_on_member('a') }}", 'mapping with "a"'),
        ("{{ 'x' | comment('basic') }}", "not a comment style"),
        ("{{ 'a b' | from_json }}", "Expecting value"),
        ("{{ [] | random }}", "random"),
        ("{{ {'a': 1} | json_query('a') }}", "selectattr"),
    ],
)
def test_a_filter_that_cannot_answer_says_why(text: str, said: str) -> None:
    with pytest.raises(InvalidError) as caught:
        Templar({}).render(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("password", "kind", "salt", "rounds", "expected"),
    [
        ("Hello world!", "sha256", "saltstring", 5000, "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
        (
            "Hello world!",
            "sha512",
            "saltstring",
            5000,
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
        ),
        (
            "pässwörd" * 9,
            "sha512",
            "saltstringsaltst",
            10000,
            "$6$rounds=10000$saltstringsaltst$FOVNUv6ahAF/493jbr0hHWNr1XBWB8gONVL.AKa7wNOr3I/K.6aYzXo.rUekLRiVEwEXNCU7uedxq4INzX3/N0",
        ),
        (
            "",
            "sha512",
            "s",
            1000,
            "$6$rounds=1000$s$u6h1nDplZjxDo4zJTtL/gDw7SGioQGm.0uRtQXjSgB6lTpGGOfGi4A6UMV.7Q7d2K2ppsidkHUrit0FKUiAv71",
        ),
    ],
)
def test_password_hashes_are_those_of_libcrypt(
    password: str, kind: str, salt: str, rounds: int, expected: str
) -> None:
    assert sha_crypt(password, kind, salt, rounds) == expected


def test_a_password_hash_is_stable_with_a_salt_and_new_without() -> None:
    text = "{{ 'pw' | password_hash('sha512', 'mysalt', rounds=1000) }}"
    assert Templar({}).render(text) == Templar({}).render(text)
    assert Templar({}).render(text).startswith("$6$rounds=1000$mysalt$")
    fresh = "{{ 'pw' | password_hash('sha256', rounds=1000) }}"
    assert Templar({}).render(fresh) != Templar({}).render(fresh)
    blowfish = Templar({}).render("{{ 'pw' | password_hash('blowfish', 'abcdefghijklmnopqrstuu', rounds=4) }}")
    assert blowfish.startswith("$2b$04$abcdefghijklmnopqrstuu")


def test_every_filter_of_ansible_is_known() -> None:
    assert set(theirs()) - set(engine().filters) == set()
