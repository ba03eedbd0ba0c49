"""Versions, specifiers, markers and requirements, held against the `packaging` library."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.markers import Marker
from packaging.requirements import Requirement as Theirs
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from personaplex_provision.agent.resources._marker import environment_of, holds
from personaplex_provision.agent.resources._pep440 import clauses, parse_version, satisfies
from personaplex_provision.agent.resources._requirement import canonical, parse, read_lines

VERSIONS = [
    "1", "1.0", "1.0.0", "1.0.1", "1.1", "1.10", "1.9", "2!0.1", "1.0a1", "1.0a1.dev3", "1.0b2", "1.0rc1", "1.0c2",
    "1.0.dev1", "1.0.post1", "1.0-1", "1.0.post1.dev2", "1.0+cu128", "1.0+cu13.1", "2.4.1", "2.9.1+cu128", "2.10.0",
    "v1.0", "1.0.0.post2", "0.24.7", "0.1.12",
]
SPECIFIERS = [
    "", "==1.0", "==1", "!=1.0", ">=1.0", ">1.0", "<1.0", "<=1.0", "~=1.0", "~=1.0.1", "~=2.4.0", "==1.*", "==1.0.*",
    "!=1.0.*", ">=1.0,<2", ">= 2.2.0, < 2.5", "==1.0+cu128", "===1.0", ">1.0.post1", "<1.0rc1", ">=0.24,<0.25",
    "==2!0.*", ">1.0a1", "<1.0.post1", "<=1.0.post1",
]


@pytest.mark.parametrize("specifier", SPECIFIERS)
def test_specifiers_agree_with_packaging(specifier: str) -> None:
    theirs = SpecifierSet(specifier)
    for version in VERSIONS:
        assert satisfies(version, specifier) == theirs.contains(version, prereleases=True), version


def test_versions_are_ordered_as_packaging_orders_them() -> None:
    for a, b in itertools.product(VERSIONS, repeat=2):
        ours, theirs = parse_version(a), parse_version(b)
        assert ours is not None and theirs is not None
        assert (ours.key < theirs.key) == (Version(a) < Version(b)), (a, b)
        assert (ours.key == theirs.key) == (Version(a) == Version(b)), (a, b)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.from_regex(r"[0-3](\.[0-3]){0,2}((a|b|rc)[0-2])?(\.post[0-2])?(\.dev[0-2])?(\+[a-c][0-2]?)?", fullmatch=True),
       st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
       st.from_regex(r"[0-3](\.[0-3]){0,2}((a|b|rc)[0-2])?(\.post[0-2])?(\.dev[0-2])?", fullmatch=True))
def test_any_specifier_agrees_with_packaging(version: str, operator: str, wanted: str) -> None:
    specifier = operator + wanted
    assert satisfies(version, specifier) == SpecifierSet(specifier).contains(version, prereleases=True)


@pytest.mark.parametrize("marker", [
    'python_version >= "3.10"', "python_version < '3.9'", 'sys_platform == "win32"', "platform_machine != 'aarch64'",
    'python_version >= "3.8" and (os_name == "nt" or sys_platform == "linux")', "extra == 'gpu'",
    'extra == "gpu" and python_full_version >= "3.11.2"', 'sys_platform in "linux darwin"',
    "'x86' not in platform_machine",
    'platform_python_implementation == "PyPy" or python_version == "3.11"', "implementation_name=='cpython'",
    'python_version ~= "3.10"', 'python_version not in "3.8, 3.9"',
])
@pytest.mark.parametrize("extra", ["", "gpu"])
def test_markers_agree_with_packaging(marker: str, extra: str) -> None:
    environment = environment_of("3.11.4")
    theirs = Marker(marker).evaluate({**environment, "extra": extra})
    assert holds(marker, environment, frozenset([extra] if extra else [])) == theirs


@pytest.mark.parametrize("text", [
    "torch", "torch==2.9.1", "uvicorn[standard] >=0.2,<1 ; python_version >= '3.8'", "A.b_C (>=1)", "x @ https://h/x-1.0.zip",
])
def test_requirements_agree_with_packaging(text: str) -> None:
    ours, theirs = parse(text), Theirs(text)
    assert (ours.name, set(ours.extras), ours.url) == (theirs.name, theirs.extras, theirs.url or "")
    assert sorted(clauses(ours.specifier)) == sorted((one.operator, one.version) for one in theirs.specifier)


@pytest.mark.parametrize(("text", "path", "name", "specifier"), [
    ("./moshi", "/opt/src/moshi", "", ""), ("./moshi[gpu]", "/opt/src/moshi", "", ""), ("/a/b", "/a/b", "", ""),
    ("file:///a/b", "/a/b", "", ""),
    ("w/a_b-1.2-py3-none-any.whl", "/opt/src/w/a_b-1.2-py3-none-any.whl", "a_b", "==1.2"),
    ("/x/tool-1.0.tar.gz", "/x/tool-1.0.tar.gz", "tool", "==1.0"),
    ("tool-1.0.zip", "/opt/src/tool-1.0.zip", "tool", "==1.0"),
])
def test_local_projects_and_archives(text: str, path: str, name: str, specifier: str) -> None:
    found = parse(text, "/opt/src")
    assert (found.path, found.name, found.specifier) == (path, name, specifier)


def test_addresses_and_editable_projects() -> None:
    assert parse("git+https://h/x.git@v1#egg=x").url == "git+https://h/x.git@v1#egg=x"
    assert parse("git+https://h/x.git@v1#egg=x").name == "x"
    assert parse("https://h/y-2.0-py3-none-any.whl").specifier == "==2.0"
    assert parse("-e ./p", "/b") == parse("./p", "/b", editable=True)


def test_a_requirements_file_is_read_as_pip_reads_it() -> None:
    text = (
        "# all\n-r base.txt\n-c pins.txt\n--index-url https://h\n"
        "a==1 \\\n  --hash=sha256:00 \\\n  --hash=sha256:11\nb # why\n-e ./p\n"
    )
    assert read_lines(text) == (["a==1", "b", "-e ./p"], [("r", "base.txt"), ("c", "pins.txt")])


@pytest.mark.parametrize("text", ["==1", "a b", "a==", "a>>1"])
def test_what_is_no_requirement_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


def test_names_are_compared_in_one_form() -> None:
    assert canonical("Foo.Bar__baz-X") == "foo-bar-baz-x"
