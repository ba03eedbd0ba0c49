"""What the kinds that edit text do to it; the expected texts are what Ansible's modules of the same name make."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._editing import EditedFile
from personaplex_provision.agent.resources.ini_file import IniFile
from personaplex_provision.errors import InvalidError
from personaplex_provision.planning.schema import validate

TEXT = "a=1\n#b=2\nb=3\nc=4"


def edited(kind: str, text: str, **params: Any) -> str:
    resource = validate(kind, {"path": "/x", **params})
    assert isinstance(resource, EditedFile)
    return resource.edit(text)


@pytest.mark.parametrize(("params", "after"), [
    ({"line": "a=1"}, TEXT),
    ({"line": "d=5"}, "a=1\n#b=2\nb=3\nc=4\nd=5\n"),
    ({"line": "c=4"}, "a=1\n#b=2\nb=3\nc=4\n"),
    ({"regexp": "^#?b=", "line": "b=9"}, "a=1\n#b=2\nb=9\nc=4"),
    ({"regexp": "^#?b=", "line": "b=9", "firstmatch": True}, "a=1\nb=9\nb=3\nc=4"),
    ({"regexp": "^z=", "line": "z=1", "insertafter": "^a="}, "a=1\nz=1\n#b=2\nb=3\nc=4"),
    ({"regexp": "^z=", "line": "z=1", "insertbefore": "^b="}, "a=1\n#b=2\nz=1\nb=3\nc=4"),
    ({"line": "z", "insertbefore": "BOF"}, "z\na=1\n#b=2\nb=3\nc=4"),
    ({"line": "z", "insertafter": "^#?b"}, "a=1\n#b=2\nb=3\nz\nc=4"),
    ({"line": "z", "insertafter": "^#?b", "firstmatch": True}, "a=1\n#b=2\nz\nb=3\nc=4"),
    ({"line": "z", "insertafter": "no match"}, "a=1\n#b=2\nb=3\nc=4\nz\n"),
    ({"regexp": "^(b)=3$", "line": r"\1=4", "backrefs": True}, "a=1\n#b=2\nb=4\nc=4"),
    ({"regexp": "^(q)=3$", "line": r"\1=4", "backrefs": True}, TEXT),
    ({"search_string": "c=", "line": "c=5"}, "a=1\n#b=2\nb=3\nc=5\n"),
    ({"regexp": "^z", "line": "b=3", "insertafter": "^c"}, TEXT),
    ({"state": "absent", "regexp": "b="}, "a=1\nc=4"),
    ({"state": "absent", "line": "b=3"}, "a=1\n#b=2\nc=4"),
    ({"state": "absent", "search_string": "#"}, "a=1\nb=3\nc=4"),
])
def test_a_line_lands_where_ansible_puts_it(params: dict[str, Any], after: str) -> None:
    assert edited("lineinfile", TEXT, **params) == after


def test_a_line_after_an_unfinished_last_one_gets_a_line_of_its_own() -> None:
    assert edited("lineinfile", TEXT, line="z", insertafter="^c") == "a=1\n#b=2\nb=3\nc=4\nz\n"


def test_an_edit_that_would_grow_with_every_run_is_refused() -> None:
    resource = validate("replace", {"path": "/x", "regexp": "b", "replace": "bb"})
    assert isinstance(resource, EditedFile)
    with pytest.raises(ResourceError, match="would never end"):
        resource._settled(TEXT)


BLOCK = "one\n# BEGIN ANSIBLE MANAGED BLOCK\nold\n# END ANSIBLE MANAGED BLOCK\ntwo\nthree"
NEW = "; BEGIN q\nn\n; END q\n"


@pytest.mark.parametrize(("params", "after"), [
    ({"block": "old"}, BLOCK),
    ({"block": "x\ny\n"}, BLOCK.replace("old", "x\ny")),
    ({"block": ""}, "one\ntwo\nthree"),
    ({"state": "absent"}, "one\ntwo\nthree"),
    ({"block": "n", "append_newline": True}, BLOCK.replace("old", "n").replace("two", "\ntwo")),
    ({"block": "n", "prepend_newline": True}, BLOCK.replace("old", "n").replace("one\n", "one\n\n")),
    ({"block": "n", "marker": "; {mark} q"}, BLOCK + "\n; BEGIN q\nn\n; END q\n"),
    ({"block": "n", "marker": "; {mark} q", "insertafter": "^one"}, BLOCK.replace("one\n", f"one\n{NEW}")),
    ({"block": "n", "marker": "; {mark} q", "insertbefore": "BOF"}, "; BEGIN q\nn\n; END q\n" + BLOCK),
    ({"block": "n", "marker": "; {mark} q", "insertbefore": "(?m)^two$"}, BLOCK.replace("two", f"{NEW}two")),
    ({"block": "n", "marker": "<{mark}>", "marker_begin": "A", "marker_end": "Z"}, BLOCK + "\n<A>\nn\n<Z>\n"),
])
def test_a_block_lands_where_ansible_puts_it(params: dict[str, Any], after: str) -> None:
    assert edited("blockinfile", BLOCK, **params) == after


@pytest.mark.parametrize(("params", "after"), [
    ({"regexp": r"^#?b=(\d)$", "replace": r"q\1"}, "a=1\nq2\nq3\nc=4"),
    ({"regexp": "=", "replace": ":", "after": "#b"}, "a=1\n#b:2\nb:3\nc:4"),
    ({"regexp": "=", "replace": ":", "before": "c"}, "a:1\n#b:2\nb:3\nc=4"),
    ({"regexp": "=", "replace": ":", "after": "b=2", "before": "c"}, "a=1\n#b=2\nb:3\nc=4"),
    ({"regexp": "=", "replace": ":", "after": "zz"}, TEXT),
    ({"regexp": "^#.*$\n"}, "a=1\nb=3\nc=4"),
])
def test_replace_changes_the_part_that_ansible_changes(params: dict[str, Any], after: str) -> None:
    assert edited("replace", TEXT, **params) == after


INI = "top = 1\n[a]\nx = 1\n; y = 2\n\n[b]\nx=1\nx=2\n"


@pytest.mark.parametrize(("params", "after"), [
    ({"section": "a", "option": "x", "value": "1"}, INI),
    ({"section": "a", "option": "x", "value": "2"}, INI.replace("x = 1", "x = 2")),
    ({"section": "a", "option": "y", "value": "3"}, INI.replace("; y = 2", "y = 3")),
    (
        {"section": "a", "option": "y", "value": "3", "modify_inactive_option": False},
        INI.replace("2\n\n", "2\ny = 3\n\n"),
    ),
    ({"section": "a", "option": "z", "value": "3", "no_extra_spaces": True}, INI.replace("2\n\n", "2\nz=3\n\n")),
    ({"section": "b", "option": "x", "value": "3"}, INI.replace("x=1\nx=2", "x = 3")),
    ({"section": "b", "option": "x", "values": ["2", "3"], "exclusive": False}, INI.replace("x=2", "x = 2\nx = 3")),
    ({"section": "b", "option": "x", "value": "2", "ignore_spaces": True}, INI.replace("x=1\n", "")),
    ({"option": "top", "value": "2"}, INI.replace("top = 1", "top = 2")),
    ({"section": "c"}, INI + "[c]\n"),
    ({"section": "c", "option": "flag", "allow_no_value": True}, INI + "[c]\nflag\n"),
    ({"section": "b", "option": "x", "state": "absent"}, INI.replace("x=1\nx=2\n", "")),
    ({"section": "b", "option": "x", "value": "1", "state": "absent", "exclusive": False}, INI.replace("x=1\n", "")),
    ({"section": "a", "state": "absent"}, "top = 1\n[b]\nx=1\nx=2\n"),
    ({"section": "none", "option": "x", "state": "absent"}, INI),
])
def test_an_option_lands_in_its_section(params: dict[str, Any], after: str) -> None:
    assert edited("ini_file", INI, **params) == after


@pytest.mark.parametrize(("kind", "params", "why"), [
    ("lineinfile", {"line": "x", "regexp": "("}, "no regular expression"),
    ("lineinfile", {"regexp": "x"}, "needs line"),
    ("lineinfile", {"line": "x", "insertafter": "a", "insertbefore": "b"}, "exclude each other"),
    ("blockinfile", {"block": "x", "marker": "# x"}, "needs {mark}"),
    ("ini_file", {"section": "a", "option": "x"}, "needs a value"),
    ("replace", {"regexp": "a", "validate": "true"}, "needs a %s"),
])
def test_what_makes_no_sense_is_said(kind: str, params: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidError, match=why):
        validate(kind, {"path": "/x", **params})


@given(
    st.text("ab=#; \t", max_size=12), st.text("ab=", min_size=1, max_size=2) | st.just("a b"), st.booleans(),
    st.booleans(), st.sampled_from(["", "\n", "\r\n"]),
)
@example("#a", "a", True, False, "\n")
def test_a_line_is_an_options_where_the_expression_for_it_says_so(
    line: str, option: str, inactive: bool, bare: bool, end: str,
) -> None:
    lead = r"[#;][ \t]*" if inactive else r"[ \t]*"
    match = re.match(rf"{lead}{re.escape(option)}[ \t]*(?:=[ \t]*(.*?))?[ \t]*$", line)
    wanted = (False, None) if not match or (inactive and match[1] is None and not bare) else (True, match[1])
    assert IniFile("/x", option=option, allow_no_value=bare)._value_of(line + end, inactive) == wanted
