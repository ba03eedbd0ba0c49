"""A task's wire form: what is left out is as its class says, and belongs to this task alone."""

from __future__ import annotations

from typing import Any

import pytest

from personaplex_provision.agent.task import Task


@pytest.mark.parametrize("data", [
    {"address": "a"},
    {"address": "a", "kind": "copy", "params": {"dest": "/x"}, "requires": [["b", "listed"]], "changed": False},
])
def test_a_task_of_the_wire_is_the_one_that_would_be_made(data: dict[str, Any]) -> None:
    assert Task.from_json(data) == Task(**data)
    assert vars(Task.from_json(data)) == vars(Task(**data))
    assert Task.from_json(data).to_json() == data


def test_tasks_share_nothing_that_can_be_changed() -> None:
    one, other = Task.from_json({"address": "a"}), Task.from_json({"address": "b"})
    one.notify.append("c")
    one.params["x"] = 1
    assert (other.notify, other.params) == ([], {})
    assert Task.from_json({"address": "d"}) == Task("d")


@pytest.mark.parametrize("data", [{"address": "a", "colour": "red"}, {"name": "without an address"}])
def test_what_is_no_task_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"colour|address"):
        Task.from_json(data)
