"""Templates in files: how they are found, rendered as Ansible does, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.errors import InvalidError, MissingFileError, Position
from personaplex_provision.language.templates import Templar


def refusal(run: Any) -> str:
    with pytest.raises(InvalidError) as caught:
        run()
    return str(caught.value)


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_template_file_is_rendered_as_ansible_does(tmp_path: Path) -> None:
    write(tmp_path, "templates/a.j2", "{% if true %}\nx={{ x }}\n{% endif %}\nend\n")
    one = Templar({"x": 1}, search_path=[str(tmp_path)])
    assert one.render_file("a.j2") == "x=1\nend\n"


def test_the_jinja2_header_sets_options_and_goes(tmp_path: Path) -> None:
    write(
        tmp_path,
        "a.j2",
        "#jinja2: trim_blocks:False, variable_start_string:'[[', variable_end_string:']]'\n"
        "{% if true %}\n[[ 1 ]]{{ x }}\n{% endif %}\n",
    )
    assert Templar({}, search_path=[str(tmp_path)]).render_file("a.j2") == "\n1{{ x }}\n\n"
    write(tmp_path, "b.j2", "#jinja2: trim_block:False\n")
    assert 'did you mean "trim_blocks"?' in refusal(
        lambda: Templar({}, search_path=[str(tmp_path)]).render_file("b.j2")
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a\n b {{ nope }}\n", (2, 7)),
        ("#jinja2: lstrip_blocks:True\na\n{{ nope }}\n", (3, 4)),
        ("a\n{{ 1 | nope }}\n", (2, 8)),
        ("a\n\n{% if %}\n", (3, 1)),
        ("#jinja2: lstrip_blocks:True\n\n{{ 1 1 }}\n", (3, 1)),
    ],
)
def test_errors_point_into_the_template_file(tmp_path: Path, text: str, place: tuple[int, int]) -> None:
    write(tmp_path, "a.j2", text)
    with pytest.raises(InvalidError) as caught:
        Templar({}).render_file(str(tmp_path / "a.j2"), Position("tasks.yml", 1, 1))
    assert caught.value.diagnostics[0].position == Position(str(tmp_path / "a.j2"), *place)


def test_includes_and_imports_are_found_beside_and_in_the_search_path(tmp_path: Path) -> None:
    write(tmp_path, "role/templates/sub/main.j2", "{% import 'm.j2' as m %}{% include 'part.j2' %} {{ m.f(x) }}\n")
    write(tmp_path, "role/templates/sub/part.j2", "part {{ x }}")
    write(tmp_path, "play/templates/m.j2", "{% macro f(v) %}<{{ v }}>{% endmacro %}")
    one = Templar({"x": "1"}, search_path=[str(tmp_path / "role"), str(tmp_path / "play")])
    assert one.render_file("sub/main.j2") == "part 1 <1>\n"
    write(tmp_path, "role/templates/sub/part.j2", "\n {{ nope }}")
    assert "part.j2:2:5: error" in refusal(lambda: one.render_file("sub/main.j2"))


def test_a_missing_template_file_is_told_with_the_nearest_name_and_where_it_was_sought(tmp_path: Path) -> None:
    write(tmp_path, "templates/site.conf.j2", "")
    with pytest.raises(MissingFileError) as caught:
        Templar({}, search_path=[str(tmp_path)]).render_file("site.cfg.j2")
    assert 'did you mean "site.conf.j2"?' in str(caught.value)
    assert str(tmp_path / "templates" / "site.cfg.j2") in str(caught.value)


def test_a_changed_template_file_is_read_again(tmp_path: Path) -> None:
    write(tmp_path, "a.j2", "1")
    one = Templar({})
    assert one.render_file(str(tmp_path / "a.j2")) == "1"
    write(tmp_path, "a.j2", "22")
    assert one.render_file(str(tmp_path / "a.j2")) == "22"


def test_a_template_may_extend_another(tmp_path: Path) -> None:
    write(tmp_path, "templates/base.j2", "<{% block a %}base{% endblock %}{% block b %}{{ x }}{% endblock %}>\n")
    write(tmp_path, "templates/a.j2", "{% extends 'base.j2' %}{% block a %}{{ super() }} {{ x }} {% endblock %}")
    assert Templar({"x": "{{ 1 + 1 }}"}, search_path=[str(tmp_path)]).render_file("a.j2") == "<base 2 2>\n"
