"""Templates: laziness, types, undefined values, positions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.errors import InvalidError, Position
from personaplex_provision.language import source
from personaplex_provision.language.source import Unsafe
from personaplex_provision.language.templates import OMIT, Scope, Templar, inert
from personaplex_provision.language.values import Pending, Unknown


def templar(yaml: str = "", file: str = "vars.yml", **more: Any) -> Templar:
    return Templar({**(source.load(yaml, file) or {}), **more})


def refusal(run: Any) -> str:
    with pytest.raises(InvalidError) as caught:
        run()
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ 1 }}", 1),
        ("{{ [1, 'a'] }}", [1, "a"]),
        ("{{ {'a': 1} }}", {"a": 1}),
        ("{{ true }}", True),
        ("{{ none }}", None),
        ("{{ '1' }}", "1"),
        ("{{ 1 }}\n", 1),
        ("{{ (1, 2) }}", [1, 2]),
        ("{{ [1, 2] | map('string') }}", ["1", "2"]),
        ("{{ {'a': 1}.items() }}", [["a", 1]]),
        ("{% set x = 1 %}\n{{ x }}", 1),
    ],
)
def test_a_lone_expression_keeps_its_type(text: str, value: Any) -> None:
    found = templar().render(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" {{ 1 }}", " 1"),
        ("{{ 1 }}{{ 2 }}", "12"),
        ("a{{ none }}b", "ab"),
        ("x {{ [1, none, true] }}", "x [1, None, True]"),
        ("{{ true }}!", "True!"),
        ("x{{ omit }}", "x"),
        ("{# c #}a", "a"),
        ("no braces", "no braces"),
    ],
)
def test_everything_else_is_text(text: str, value: str) -> None:
    assert templar().render(text) == value


@pytest.mark.parametrize(
    "text", ["a={{ 1 }}\n", "{{ 'a' }}\n\n", "a\n{{ 'a\n' }}\n", "{% if true %}\nx\n{% endif %}\n"]
)
def test_a_text_ends_in_as_many_new_lines_as_its_template(text: str) -> None:
    ended = len(text) - len(text.rstrip("\n"))
    found = templar(x=text).render("{{ x }}")
    assert found == templar().render(text)
    assert len(found) - len(found.rstrip("\n")) == ended


def test_times_can_be_computed_with_and_leave_as_text() -> None:
    one = templar("start: \"{{ '2024-01-02 03:04:05' | to_datetime }}\"\n")
    assert one.render("{{ start.year }} {{ start.strftime('%H') }}") == "2024 03"
    assert one.render("{{ [start] }}") == ["2024-01-02 03:04:05"]


def test_keys_that_are_numbers_are_found_by_number() -> None:
    one = templar("ports: {80: http, 443: https}\n")
    assert one.render("{{ ports[80] }} {{ ports.get(443) }} {{ 80 in ports }}") == "http https True"


def test_numbers_keep_their_written_form_in_text_and_their_value_alone() -> None:
    one = templar("version: 1.10\nmode: 0644\n")
    assert one.render("v{{ version }} {{ mode }} {{ [version] | join }}") == "v1.10 0644 1.10"
    assert one.render("{{ version }}") == 1.1
    assert one.render("{{ mode }}") == 0o644


def test_a_variable_is_rendered_when_it_is_touched_however_deep() -> None:
    one = templar("a: 1\nb: '{{ a }}x'\nc: {d: ['{{ b }}'], e: '{{ nothing }}'}\n")
    assert one.render("{{ c.d[0] }}") == "1x"
    assert one.render("{{ c['d'] | first ~ b }}") == "1x1x"


def test_a_branch_that_is_not_taken_is_not_rendered() -> None:
    one = templar("bad: '{{ nothing }}'\n", later=Unknown("task"))
    assert one.render("{{ 1 if true else bad }}") == 1
    assert one.render("{{ 1 if true else later }}") == 1
    assert one.render("{% if false %}{{ bad }}{{ later }}{% endif %}ok") == "ok"
    assert one.condition("false and later") is False


def test_what_a_render_gave_is_never_rendered_again() -> None:
    one = templar(raw=inert("{{ 1 + 1 }}"), mark=Unsafe("{{ a }}"), facts={"x": "{{ 1 }}"})
    assert one.render("{{ raw }}") == "{{ 1 + 1 }}"
    assert one.render(one.render("{{ '{' ~ '{ 1 }' ~ '}' }}")) == "{{ 1 }}"
    assert one.render("{{ mark }}") == "{{ a }}"
    assert templar(ansible_facts={"x": "{{ 1 }}"}).render("{{ ansible_facts.x }}") == "{{ 1 }}"


def test_a_cycle_is_named() -> None:
    said = refusal(lambda: templar("a: '{{ b }}'\nb: '{{ c.d }}'\nc: {d: '{{ a }}'}\n").render("{{ a }}"))
    assert "a variable's value needs itself" in said
    assert '"a" → "b" → "c.d" → "a"' in said


def test_a_mapping_may_read_its_own_other_keys() -> None:
    assert templar("a: {x: 1, y: '{{ a.x }}'}\n").render("{{ a.y }}") == 1


def test_an_undefined_variable_is_an_error_with_the_nearest_name() -> None:
    said = refusal(lambda: templar("base_dir: /x\n").render("{{ base_dri }}/y", Position("play.yml", 3, 9)))
    assert said.startswith('play.yml:3:9: error: the variable "base_dri" is not defined')
    assert 'did you mean "base_dir"?' in said


def test_an_unknown_key_names_its_mapping_and_where_that_is_defined() -> None:
    one = Templar(source.load("user: {name: bob}", "v.yml"), origin=lambda name: f"group_vars/all.yml:3:1 ({name})")
    said = refusal(lambda: one.render("{{ user.nmae }}"))
    assert '"user" has no key "nmae"' in said
    assert '"user" is defined at group_vars/all.yml:3:1 (user)' in said
    assert 'did you mean "name"?' in said


@pytest.mark.parametrize(
    "text", ["{{ a.b.c | default('z') }}", "{{ bad | default('z') }}", "{{ bad.x[1] | d('z') }}"]
)
def test_default_covers_undefined_values_at_any_depth(text: str) -> None:
    assert templar("bad: '{{ nothing }}'\n").render(text) == "z"


def test_is_defined_sees_through_variables() -> None:
    one = templar("bad: '{{ nothing }}'\ngood: '{{ 1 }}'\n")
    assert one.condition("good is defined and bad is undefined and nothing is not defined") is True


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("a: 1\nx: 'one {{ nope }}'\n", (2, 12)),
        ("x: one {{ nope }}\n", (1, 11)),
        ("x: |\n  first\n  one {{ nope }}\n", (3, 10)),
        ("x: >\n  first\n  one {{ nope }}\n", (3, 10)),
        ('x: "one\\t {{ nope }}"\n', (1, 14)),
        ("l:\n  - fine\n  - {k: '{{ nope }}'}\n", (3, 13)),
    ],
)
def test_errors_point_at_the_expression(tmp_path: Path, body: str, place: tuple[int, int]) -> None:
    path = tmp_path / "vars.yml"
    path.write_text(body)
    with pytest.raises(InvalidError) as caught:
        Templar({}).render(source.load_file(path))
    assert [(one.position.line, one.position.column) for one in caught.value.diagnostics if one.position] == [place]


def test_an_error_in_a_variable_points_there_and_tells_who_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "vars.yml"
    path.write_text("url: 'http://{{ hots }}'\nhost: h\n")
    said = refusal(lambda: Templar(source.load_file(path)).render("get {{ url }}", Position("tasks.yml", 7, 11)))
    assert f'{path}:1:17: error: the variable "hots" is not defined' in said
    assert '"url" is read here: tasks.yml:7:11' in said


def test_all_errors_of_a_value_come_at_once() -> None:
    with pytest.raises(InvalidError) as caught:
        templar().render(source.load("a: '{{ x }}'\nb: ['{{ y }}', '{{ 1 | nope }}']\n", "t.yml"))
    assert [one.summary for one in caught.value.diagnostics] == [
        'the variable "x" is not defined',
        'the variable "y" is not defined',
        'there is no filter "nope"',
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ a b }}", "an operator or a quote is missing"),
        ("{{ 1 | to_jsn }}", 'did you mean "to_json"?'),
        ("{{ 1 is evn }}", 'did you mean "even"?'),
        ("{% if true %}x", "opened and not closed"),
        ("{{ 'x' | int + [] }}", "unsupported operand"),
        ("{{ 'x' | to_datetime }}", 'the filter "to_datetime" failed'),
        ("{{ lookup('fil', 'x') }}", 'did you mean "file"?'),
        ("{{ lookup }}", "is not data"),
    ],
)
def test_a_broken_template_says_what_to_do(text: str, said: str) -> None:
    assert said in refusal(lambda: templar().render(text))


def test_omit_drops_keys_and_items() -> None:
    one = templar("d: {a: '{{ omit }}', b: 1}\n")
    assert one.render({"a": "{{ omit }}", "b": ["{{ omit }}", 2], "c": "{{ x | default(omit) }}"}) == {"b": [2]}
    assert one.render("{{ d }}") == {"b": 1}
    assert one.render("{{ x | default(omit) }}") is OMIT


def test_rendered_mappings_keep_their_positions() -> None:
    found = templar(a=1).render(source.load("k: '{{ a }}'\n", "t.yml"))
    assert (found, found.at("k")) == ({"k": 1}, Position("t.yml", 1, 4))


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (True, True),
        ("a == 1", True),
        (["a == 1", "a > 1"], False),
        ([], True),
        ("{{ a == 1 }}", True),
        ("t", True),
        ("'yes' | bool", True),
        ("l | length > 0", True),
        ("not t", False),
        ("a in l and 'k' in {'k': 1}", True),
    ],
)
def test_conditions(condition: Any, holds: bool) -> None:
    assert templar("a: 1\nt: true\nl: [1]\n").condition(condition) is holds


@pytest.mark.parametrize(
    ("condition", "hint"),
    [
        ("s", "s | length > 0"),
        ("l", "write `l | length > 0`"),
        ("n", "write `n != 0`"),
        ("none", "none is not none"),
        ("s or l", "(s or l) | length > 0"),
        (5, "5 != 0"),
    ],
)
def test_a_condition_that_is_not_boolean_is_refused_with_the_fix(condition: Any, hint: str) -> None:
    said = refusal(lambda: templar("s: text\nl: [1]\nn: 1\n").condition(condition, Position("t.yml", 4, 9)))
    assert said.startswith("t.yml:4:9: error: the condition gives")
    assert hint in said


def test_an_unknown_value_waits_for_its_result_and_is_not_a_template() -> None:
    before = templar(result=Unknown("site/task"))
    for text in (
        "{{ result }}",
        "{{ result.rc }}",
        "{{ result is defined }}",
        "{{ result | default(1) }}",
        "{{ [result] }}",
    ):
        with pytest.raises(Pending) as caught:
            before.render(text)
        assert caught.value.unknown.address == "site/task"
    after = Templar(before.variables, results={"site/task": {"rc": 0, "stdout": "{{ 1 }}", "changed": True}})
    assert after.render("{{ result.rc }}") == 0
    assert after.render("{{ result.stdout }}") == "{{ 1 }}"
    assert after.condition("result is changed and result is succeeded and result is not skipped") is True


def test_a_result_may_be_known_in_part() -> None:
    one = templar(result={"changed": True, "stdout": Unknown("t"), "rc": 0})
    assert one.condition("result is changed and result.rc == 0 and result.stdout_lines is undefined") is True
    for text in (
        "{{ result.stdout }}",
        "{{ result }}",
        "{{ result | to_json }}",
        "{{ [result] | map(attribute='stdout') }}",
    ):
        with pytest.raises(Pending):
            one.render(text)


def test_errors_win_over_what_is_not_known_yet() -> None:
    one = templar(later=Unknown("t"))
    assert "nope" in refusal(lambda: one.render({"a": "{{ later }}", "b": "{{ nope }}"}))


def test_a_new_result_is_seen_by_the_same_templar() -> None:
    results: dict[str, Any] = {"t": 1}
    one = Templar(source.load("x: '{{ r }}'", "v"), results=results).with_variables({"r": Unknown("t")})
    assert one.render("{{ x }}") == 1
    results["t"] = 2
    assert one.render("{{ x }}") == 2


def test_more_variables_come_in_front() -> None:
    base = templar("item: 1\ny: '{{ item }}'\n")
    assert base.render("{{ y }}") == 1
    assert base.with_variables({"item": 2}).with_variables({"z": 3}).render("{{ y }}{{ z }}") == "23"
    assert base.render("{{ y }}") == 1


def test_another_hosts_variables_are_rendered_in_its_own_terms() -> None:
    other = templar("port: 1\nurl: 'b:{{ port }}'\n")
    mine = templar("port: 2\n", hostvars={"b": Scope(other)})
    assert mine.render("{{ hostvars['b'].url }} {{ hostvars.b.port }}") == "b:1 1"


def test_loops_macros_and_methods_work() -> None:
    one = templar("users: [{name: a}, {name: '{{ n }}'}]\nn: b\n")
    assert one.render("{% for u in users %}{{ u.name }}{{ loop.index }}{% endfor %}") == "a1b2"
    assert one.render("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(n) }}{{ m(users[1].name) }}") == "<b><b>"
    assert one.render("{% set l = [] %}{% for u in users %}{% do l.append(u.name) %}{% endfor %}{{ l }}") == [
        "a",
        "b",
    ]
    assert one.render("{% set d = {} %}{% set _ = d.update({'a': n}) %}{{ d }}") == {"a": "b"}


@pytest.mark.parametrize("text", ["{{ ''.__class__ }}", "{{ [].__class__.__mro__ }}", "{{ lookup.__globals__ }}"])
def test_a_template_cannot_reach_into_python(text: str) -> None:
    refusal(lambda: templar().render(text))


def test_collection_names_before_filters_and_tests_are_accepted() -> None:
    assert templar().render("{{ {'a': 1} | ansible.builtin.combine({'b': 2}) }}") == {"a": 1, "b": 2}
    assert templar().condition("'1.2' is ansible.builtin.version('1.1', '>')") is True
