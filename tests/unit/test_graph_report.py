"""A graph is drawn whole, in every format, whatever the names of the tasks hold."""

from __future__ import annotations

import json

from personaplex_provision.agent.resources.group import Group
from personaplex_provision.agent.task import Task
from personaplex_provision.planning.graph import Graph, build
from personaplex_provision.reports import graph as report


def sample() -> Graph:
    tasks = [
        Task("a", 'say "hi"', "group", position="p.yml:1:3"),
        Task("b", "second [x]", "group", requires=[["a", "listed"]]),
        Task("c", "third", "group", requires=[["a", "requires"]]),
        Task("end", "the end", requires=[["b", "part"], ["c", "part"]]),
    ]
    return build(tasks, {one.address: Group(one.address) for one in tasks if one.kind})


def test_text_tells_each_task_with_what_it_comes_after_and_why() -> None:
    assert report.text(sample(), "lab") == (
        "lab: 4 tasks, 4 edges, longest chain 2 tasks (marked *)\n"
        '* say "hi" (group)\n'
        "* second [x] (group)\n"
        '      after say "hi" (group): listed\n'
        "  third (group)\n"
        '      after say "hi" (group): requires\n'
        "  the end\n"
        "      after second [x] (group): part\n"
        "      after third (group): part\n"
    )


def test_dot_quotes_names_and_dots_the_order_of_the_list() -> None:
    found = report.dot(sample(), "lab")
    assert found.startswith('digraph "lab" {') and found.endswith("}\n")
    assert '  t0 [label="say \\"hi\\" (group)"];' in found
    assert '  t0 -> t1 [label="listed", style=dotted];' in found
    assert '  t0 -> t2 [label="requires"];' in found


def test_mermaid_escapes_what_has_a_meaning_there() -> None:
    found = report.mermaid(sample())
    assert found.startswith("flowchart LR\n")
    assert '  t0["say #quot;hi#quot; (group)"]' in found
    assert '  t0 -.->|"listed"| t1' in found
    assert '  t3(("the end"))' in found


def test_json_is_one_document_with_every_edge() -> None:
    found = json.loads(report.as_json(sample(), "lab"))
    assert [one["address"] for one in found["tasks"]] == ["a", "b", "c", "end"]
    assert found["tasks"][2]["after"] == [{"task": "a", "reasons": ["requires"]}]
    assert found["critical_path"] == ["a", "b"]
    assert set(report.FORMATS) == {"text", "dot", "mermaid", "json"}
