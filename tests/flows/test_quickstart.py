"""The playbook that people try first does what its comments promise, on this machine and without root."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.conftest import Bench

PLAYBOOK = Path(__file__).parents[2] / "playbooks/quickstart.yml"


@pytest.fixture
def quickstart(bench: Bench) -> Bench:
    bench.place.rmdir()
    return bench


def run(bench: Bench, command: str, *arguments: str) -> int:
    return bench.run(command, str(PLAYBOOK), "-e", f"quickstart_home={bench.place}", *arguments)


def changes(bench: Bench) -> set[str]:
    """Names of the tasks that changed something in the last command."""
    return {name for name, outcome in bench.outcomes().items() if outcome == "changed"}


def planned(bench: Bench) -> set[str]:
    """Names of the tasks that the last plan said would change something."""
    tasks = [one for one in bench.events if one["type"] == "plan_task"]
    return {one["name"] for one in tasks if one["action"] not in ("none", "unknown")}


def test_quickstart_changes_what_its_plan_said_and_then_nothing(quickstart: Bench) -> None:
    assert run(quickstart, "plan") == 0
    promised = planned(quickstart)
    assert not quickstart.place.exists()
    assert run(quickstart, "apply", "-y") == 0
    assert changes(quickstart) == promised
    assert len(promised) >= 10
    assert run(quickstart, "plan", "--detailed-exitcode") == 0


def test_quickstart_serves_the_greeting_it_was_given(quickstart: Bench) -> None:
    assert run(quickstart, "apply", "-y") == 0
    assert run(quickstart, "apply", "-y", "-e", "quickstart_greeting=Moin") == 0
    assert changes(quickstart) == {"its page"}
    assert "Moin" in (quickstart.place / "application/index.html").read_text()


def test_quickstart_taken_back_leaves_nothing(quickstart: Bench) -> None:
    assert run(quickstart, "apply", "-y") == 0
    assert quickstart.place.is_dir()
    assert quickstart.run("rollback", "-y") == 0
    assert not quickstart.place.exists()


def test_the_blocks_of_quickstart_wait_for_the_workspace_and_not_for_each_other(quickstart: Bench) -> None:
    assert run(quickstart, "graph", "--format", "json") == 0
    after = {task["name"]: {one["task"] for one in task["after"]} for task in quickstart.events[0]["tasks"]}
    for block in ("application", "certificate", "environment"):
        assert after[f"{block} (start)"] == {"workspace"}
