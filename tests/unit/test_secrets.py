"""Secrets: what a template makes of one is one, its neighbours are not, and the second net catches the rest."""

from __future__ import annotations

import base64
import json
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_provision.agent.redact import Redactor
from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import InvalidError
from personaplex_provision.language import source
from personaplex_provision.language.filters import all_filters, mode
from personaplex_provision.language.templates import Templar
from personaplex_provision.language.values import Pending, Unknown
from personaplex_provision.language.vault import VaultKeys, encrypt

VALUE = "hunter2-X!"


def templar(**more: Any) -> Templar:
    variables = source.load(
        "user: {name: bob, password: '{{ pw }}', home: '/home/{{ user.name }}'}\n"
        "users: [{name: bob, key: '{{ pw }}', admin: true}, {name: eve, key: none, admin: false}]\n"
        "plain: text\nurl: 'https://bob:{{ pw }}@host/'\n",
        "vars.yml",
    )
    return Templar({**variables, "pw": Secret(VALUE, "pw"), **more})


def reveal(value: Any) -> Any:
    assert isinstance(value, Secret), value
    return value.reveal()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ pw }}", VALUE),
        ("p={{ pw }}", f"p={VALUE}"),
        ("{{ pw | upper }}", VALUE.upper()),
        ("{{ pw ~ 1 }}", f"{VALUE}1"),
        ("{{ 'a' + pw }}", f"a{VALUE}"),
        ("{{ pw + 'a' }}", f"{VALUE}a"),
        ("{{ '%s' % pw }}", VALUE),
        ("{{ pw[:3] }}", "hun"),
        ("{{ pw.replace('h', 'j') }}", "j" + VALUE[1:]),
        ("{{ '{}'.format(pw) }}", VALUE),
        ("{{ pw[0] }}", "h"),
        ("{{ pw | b64encode | b64decode }}", VALUE),
        ("{{ user.password | length }}", "10"),
        ("{{ url }}", f"https://bob:{VALUE}@host/"),
        ("{{ [pw, 'x'] | join(',') }}", f"{VALUE},x"),
        ("{{ {'a': [pw]} | to_json }}", json.dumps({"a": [VALUE]})),
        ("{% for c in pw %}{{ c }}{% endfor %}", VALUE),
        ("{% set x = pw %}{{ x }}", VALUE),
        ("{{ pw if pw else 'x' }}", VALUE),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(pw) }}", f"<{VALUE}>"),
        ("{{ pw == 'x' }}", "False"),
        ("{{ 'h' in pw }}", "True"),
        ("{{ pw in 'x' }}", "False"),
        ("{{ pw * 2 }}", VALUE * 2),
        ("{{ vars.pw }}", VALUE),
        ("{{ lookup('vars', 'pw') }}", VALUE),
        ("{{ users | map(attribute='key') | first }}", VALUE),
        ("{{ users | groupby('key') | map('first') | list | first }}", VALUE),
        ("{{ '{0[a]}' | replace('{0[a]}', pw) }}", VALUE),
        ("{{ [pw] | map('upper') | list | first }}", VALUE.upper()),
        ("{{ (pw, 1) | string }}", f"({VALUE!r}, 1)"),
        ("{% filter upper %}{{ pw }}{% endfilter %}", VALUE.upper()),
        ("{% set x %}{{ pw }}{% endset %}{{ x }}", VALUE),
        ("{{ pw | default('x') }}", VALUE),
        ("{{ true | ternary(pw, 1) }}", VALUE),
        ("{{ dict(a=pw).a }}", VALUE),
    ],
)
def test_what_reads_a_secret_is_a_secret_with_the_right_value(text: str, value: str) -> None:
    found = templar().render(text)
    assert reveal(found) == value
    assert str(found) == "(secret pw)"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ user.name }}", "bob"),
        ("{{ user.home }}/x", "/home/bob/x"),
        ("{{ users | map(attribute='name') | list }}", ["bob", "eve"]),
        ("{{ 'a' if pw is defined else 'b' }}", "a"),
        ("{{ users | length }}", 2),
        ("{{ 'x' if false else plain }}", "text"),
        ("{{ users | selectattr('admin') | map(attribute='name') | join }}", "bob"),
        ("{{ users | sort(attribute='name') | last }}", None),
        ("{% for u in users %}{{ u.name }}{% endfor %}", "bobeve"),
        ("{{ plain if true else pw }}", "text"),
        ("{{ user.keys() | list }}", ["name", "password", "home"]),
        ("{{ user is mapping }}", True),
        ("{{ (users | items2dict(key_name='name', value_name='admin')).eve }}", False),
    ],
)
def test_neighbours_of_a_secret_stay_plain(text: str, value: Any) -> None:
    found = templar().render(text)
    if value is None:
        value = {"name": "eve", "key": "none", "admin": False}
    assert found == value


@pytest.mark.parametrize(
    "text",
    [
        "{{ users }}",
        "{{ users | list }}",
        "{{ users | selectattr('name') | list }}",
        "{{ users | sort(attribute='name') }}",
        "{{ query('items', users) }}",
        "{{ users | union([]) }}",
        "{{ users + [] }}",
        "{% set x = users %}{{ x }}",
    ],
)
def test_a_container_keeps_its_boxes_unopened(text: str) -> None:
    found = templar().render(text)
    assert found == [
        {"name": "bob", "key": Secret(VALUE), "admin": True},
        {"name": "eve", "key": "none", "admin": False},
    ]


def test_boxes_survive_combine_and_dict2items() -> None:
    assert templar().render("{{ user | combine({'x': 1}) }}") == {
        "name": "bob",
        "password": Secret(VALUE),
        "home": "/home/bob",
        "x": 1,
    }
    assert templar().render("{{ user | dict2items }}")[1] == {"key": "password", "value": Secret(VALUE)}


def test_a_container_made_of_an_opened_secret_is_boxed_but_for_what_the_author_wrote() -> None:
    assert templar().render("{{ (pw ~ ' x') | split }}") == [Secret(VALUE), Secret("x")]
    found = templar(text=Secret("a: k3y-1234\nb: 5\n", "file")).render("{{ text | from_yaml }}")
    assert found == {"a": Secret("k3y-1234"), "b": Secret("5")}
    kept = templar().render("{{ users | selectattr('key', 'search', 'hunter') | list }}")
    assert kept[0]["name"] == "bob"


def test_a_secret_cannot_become_a_key() -> None:
    for text in ("{{ {pw: 1} }}", "{{ {pw ~ 'x': 1} }}", "{{ [{'k': pw, 'v': 1}] | items2dict('k', 'v') }}"):
        with pytest.raises(InvalidError, match="cannot be the key") as caught:
            templar().render(text)
        assert VALUE not in str(caught.value)


def test_a_secret_made_of_positioned_text_is_still_one() -> None:
    written = source.load("k: hunter2-Y\n", "v.yml")["k"]
    assert templar(s=Secret(written, "s")).render("{{ [s | string] }}") == [Secret("hunter2-Y")]


def test_a_block_that_is_a_secret_keeps_its_new_line() -> None:
    assert reveal(templar().render("{{ pw }}\n")) == VALUE + "\n"


def test_the_name_of_several_secrets_is_all_their_names() -> None:
    assert str(templar(other=Secret("abcd", "other")).render("{{ pw }}{{ other }}")) == "(secret pw, other)"


def test_a_condition_on_a_secret_gives_a_boolean() -> None:
    one = templar()
    assert one.condition("pw == 'hunter2-X!' and pw | length > 3") is True
    assert one.condition("pw is match('x')") is False


def test_no_message_shows_a_secret() -> None:
    for run in (
        lambda: templar().condition("pw"),
        lambda: templar().condition("pw | upper"),
        lambda: templar().render("{{ pw | from_json }}"),
        lambda: templar().render("{{ pw | to_datetime }}"),
        lambda: templar().render("{{ {}[pw] }}"),
        lambda: templar().render("{{ lookup('file', '/' ~ pw) }}"),
        lambda: templar().render("{{ url | human_to_bytes }}"),
        lambda: templar().render("{{ undef(pw) }}"),
        lambda: templar(y="{{ pw | to_datetime }}").render("{{ y }}"),
    ):
        with pytest.raises(InvalidError) as caught:
            run()
        said = str(caught.value)
        assert VALUE not in said and VALUE.upper() not in said


def test_a_sealed_value_is_opened_when_it_is_touched_and_is_a_secret_of_its_name() -> None:
    text = (
        "a:\n  pw: !vault |\n"
        + "".join(f"    {line}\n" for line in encrypt(b"k3y-1234", "p").splitlines())
        + "  b: 1\n"
    )
    variables = source.load(text, "vars.yml")
    keyed = Templar(variables, vault=VaultKeys([("", "p")]))
    assert reveal(keyed.render("x{{ a.pw }}")) == "xk3y-1234"
    assert str(keyed.render("{{ a.pw }}")) == "(secret a.pw)"
    assert keyed.render(variables)["a"] == {"pw": Secret("k3y-1234"), "b": 1}
    keyless = Templar(variables)
    assert keyless.render("{{ a.b }}") == 1
    with pytest.raises(InvalidError, match=r"vars.yml:2:7: error: .*encrypted.*no vault password"):
        keyless.render("{{ a.pw }}")


def test_a_template_file_that_reads_a_secret_is_one(tmp_path: Path) -> None:
    (tmp_path / "a.j2").write_text("user={{ user.name }}\n")
    (tmp_path / "b.j2").write_text("password={{ user.password }}\n")
    (tmp_path / "c.j2").write_text(encrypt(b"token=abcd {{ plain }}\n", "p"))
    one = Templar(templar().variables, vault=VaultKeys([("", "p")]))
    assert one.render_file(str(tmp_path / "a.j2")) == "user=bob\n"
    assert reveal(one.render_file(str(tmp_path / "b.j2"))) == f"password={VALUE}\n"
    assert reveal(one.render_file(str(tmp_path / "c.j2"))) == "token=abcd text\n"


def test_an_unknown_beside_a_secret_still_waits() -> None:
    with pytest.raises(Pending):
        templar(later=Unknown("t")).render("{{ pw }}{{ later }}")


def test_every_filter_that_may_see_a_secret_keeps_it_one() -> None:
    from jinja2.filters import FILTERS

    names = [name for name in all_filters(FILTERS) if mode(name) == "reveal"]
    assert len(names) > 60
    leaks = []
    for name in names:
        for arguments in ("", "('a')", "('a', 'b')"):
            try:
                found = templar().render("{{ pw | " + name + arguments + " }}")
            except InvalidError as error:
                if VALUE in str(error):
                    leaks.append(f"{name}: message")
                continue
            inner = found if isinstance(found, list) else list(found.values()) if isinstance(found, dict) else [found]
            leaks += [
                f"{name}{arguments} -> {one!r}"
                for one in inner
                if not isinstance(one, (Secret, type(None), list, bool))
            ]
    assert leaks == []


SECRET_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=6, max_size=30).filter(
    lambda text: len(text.strip()) >= 6
)


@given(SECRET_TEXT, st.text(max_size=4))
def test_the_redactor_finds_every_usual_encoding(value: str, around: str) -> None:
    redactor = Redactor([Secret(value, "K")])
    data = value.encode()
    shown = [
        value,
        json.dumps({"a": value}),
        json.dumps(value, ensure_ascii=False),
        repr(value),
        repr([value, 1]),
        repr(data),
        shlex.quote(value),
        quote(value),
        quote(value, safe=""),
        data.hex(),
        base64.b64encode(data).decode(),
        base64.b64encode(b"x" + data).decode(),
        base64.b64encode(b"xy" + data).decode(),
        base64.b64encode(b"user:" + data + b"@host").decode(),
        base64.urlsafe_b64encode(data).decode(),
    ]
    for text in shown:
        assert "(secret K)" in redactor.text(f"{around} {text} {around}"), text


def test_the_redactor_leaves_other_text_and_short_values_alone() -> None:
    redactor = Redactor([Secret("abc", "short"), Secret(VALUE, "pw"), Secret(VALUE + "longer", "long")])
    assert redactor.text("abc is fine") == "abc is fine"
    assert redactor.text(f"{VALUE}longer {VALUE}") == "(secret long) (secret pw)"
    assert redactor.json({VALUE: [f"x{VALUE}", 1, None, Secret("q", "q")]}) == {
        "(secret pw)": ["x(secret pw)", 1, None, "(secret q)"]
    }
    assert Redactor([]).text("x") == "x"


def test_lines_of_a_long_secret_are_redacted_one_by_one() -> None:
    redactor = Redactor([Secret("-----BEGIN KEY-----\nAAAABBBBCCCC\n-----END KEY-----\n", "key")])
    assert redactor.text("got AAAABBBBCCCC") == "got (secret key)"
