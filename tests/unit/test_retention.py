"""Old runs go with what only they need; a kill in the middle of that loses nothing that stays."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.agent import retention
from personaplex_provision.agent.retention import Kept, choose
from personaplex_provision.agent.store import Store
from personaplex_provision.agent.task import Task
from personaplex_provision.cli import quantities
from personaplex_provision.errors import UnreachableError
from personaplex_provision.runs.conversation import Event
from personaplex_provision.runs.identity import new_run
from tests.unit.agents import Agents, shell, write


@pytest.fixture
def agents(tmp_path: Path) -> Agents:
    return Agents(str(tmp_path / "state"))


def removal(path: Path) -> Task:
    return Task(f"rm {path.name}", f"rm {path.name}", "file", {"path": str(path), "state": "absent"})


def history(agents: Agents, place: Path) -> list[str]:
    """Three runs: one that takes a whole tree away, two that edit the same file; returns their ids."""
    (place / "tree/deep").mkdir(parents=True)
    (place / "tree/deep/file").write_text("a tree\n" * 1000)
    (place / "file").write_text("0\n")
    for tasks in ([removal(place / "tree")], [write(place / "file", "1", "one")], [write(place / "file", "2", "two")]):
        assert "failed" not in agents.run(*tasks).values()
    return [one["run"] for one in agents.runs()]


def prune(agents: Agents, fault_at: int = 0, **limits: Any) -> Event:
    """What pruning answers; empty when a fault killed the agent."""
    try:
        with agents.talk(bool(fault_at)) as talk:
            shown = talk.ask({"type": "prune", "plan": True, **limits}, "pruned")
            runs = [one["run"] for one in shown["going"]]
            return talk.ask({"type": "prune", "id_": new_run(), "meta": {}, "runs": runs, "fault_at": fault_at},
                            "pruned", "locked")
    except UnreachableError:
        if not fault_at:
            raise
        return {}


def test_the_oldest_runs_go_with_what_only_they_need(agents: Agents, tmp_path: Path) -> None:
    first, second, third = history(agents, tmp_path)
    sizes = {one["run"]: one for one in prune(agents, keep=3)["staying"]}
    assert sizes[first]["size"] > 7000 and sizes[first]["lost"]
    assert len(os.listdir(tmp_path / "state/trees")) == 1
    told = prune(agents, keep=2)
    assert [one["run"] for one in told["going"]] == [first] and told["freed"] == sizes[first]["size"]
    assert os.listdir(tmp_path / "state/trees") == []
    assert [one["run"] for one in agents.runs()] == [second, third]
    assert agents.rollback(run=second)["good"]
    assert (tmp_path / "file").read_text() == "0\n"


def test_a_content_that_a_newer_run_needs_stays(agents: Agents, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("the same\n")
    (tmp_path / "two").write_text("the same\n")
    agents.run(removal(tmp_path / "one"))
    agents.run(removal(tmp_path / "two"))
    prune(agents, keep=1)
    assert agents.rollback()["good"] and (tmp_path / "two").read_text() == "the same\n"


def test_an_unfinished_run_and_one_that_owes_handlers_stay(agents: Agents, tmp_path: Path) -> None:
    handler = Task("handler", "handler", "command", {"cmd": "true"}, trigger="notified", handler="h",
                   requires=[["edit", "notifies"]], trigger_on=["edit"])
    tasks = [write(tmp_path / "file", "x", "edit", notify=["handler"]), shell("false", "fails", ("edit",)), handler]
    assert agents.run(*tasks)["fails"] == "failed"
    told = prune(agents, keep=0)
    assert told["going"] == [] and [one["why"] for one in told["staying"]] == ["handlers are owed since"]
    for number in range(1, 40):
        agents.run(write(tmp_path / f"more{number}", "x", "more"), fault_at=number)
        with agents.talk():
            if agents.hello["unfinished"]:
                break
    last = agents.runs()[-1]["run"]
    told = prune(agents, keep=0)
    assert [one["run"] for one in told["staying"]] == [last]
    assert told["staying"][0]["why"].startswith("it did not come to its end")


def test_a_kill_anywhere_leaves_what_stays_whole_and_the_next_pruning_ends_it(tmp_path: Path) -> None:
    history(Agents(str(tmp_path / "state")), tmp_path)
    looks = {name: (tmp_path / name).read_text() for name in ("file",)}
    shutil.copytree(tmp_path / "state", tmp_path / "before", symlinks=True)
    for number in range(1, 40):
        shutil.rmtree(tmp_path / "state")
        shutil.copytree(tmp_path / "before", tmp_path / "state", symlinks=True)
        agents = Agents(str(tmp_path / "state"))
        last = [one["run"] for one in agents.runs()][-1]
        ended = prune(agents, number, keep=1)
        assert prune(agents, keep=1)["type"] == "pruned"
        assert sorted(os.listdir(tmp_path / "state/runs")) == [last], f"killed at operation {number}"
        assert os.listdir(tmp_path / "state/trees") == [] and len(os.listdir(tmp_path / "state/blobs")) == 1
        assert agents.rollback()["good"] and (tmp_path / "file").read_text() == "0\n1\n"
        (tmp_path / "file").write_text(looks["file"])
        if ended:
            assert number > 3
            return
    pytest.fail("it never came to its end")


def test_a_host_that_a_run_holds_is_not_pruned(agents: Agents, tmp_path: Path) -> None:
    history(agents, tmp_path)
    with agents.talk() as talk:
        talk.ask({"type": "begin", "run": new_run(), "meta": {"who": "me"}}, "begun")
        assert prune(agents, keep=0)["type"] == "locked"
        talk.ask({"type": "end"}, "ended")
    assert len(agents.runs()) == 4


def test_limits_choose_the_oldest_and_never_a_run_that_has_to_stay() -> None:
    now = time.time()
    runs = [Kept(str(number), 100, {"ended": now - 86400 * (10 - number)}) for number in range(10)]
    assert [one.run for one in choose(runs, keep=7)] == ["0", "1", "2"]
    assert [one.run for one in choose(runs, older_than=8.5 * 86400)] == ["0", "1"]
    assert [one.run for one in choose(runs, keep=9, older_than=5.5 * 86400)] == ["0"]
    assert [one.run for one in choose(runs, max_size=750)] == ["0", "1", "2"]
    runs[1].why = "it stays"
    assert [one.run for one in choose(runs, max_size=750)] == ["0", "2", "3"]
    assert [one.run for one in choose(runs, keep=7, max_size=450)] == ["0", "2", "3", "4", "5", "6"]
    assert choose(runs, keep=50) == []


def test_what_is_being_written_is_left_alone(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    os.makedirs(store.path("blobs"))
    fresh, old = (tmp_path / "blobs" / f".new-{name}" for name in ("fresh", "old"))
    for path in (fresh, old):
        path.write_text("x")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    assert retention.sweep(store) > 0
    assert fresh.exists() and not old.exists()


@pytest.mark.parametrize(("text", "seconds"), [("30d", 2592000), ("12h", 43200), ("90m", 5400), ("1.5h", 5400)])
def test_durations_are_read(text: str, seconds: float) -> None:
    assert quantities.duration(text) == seconds


@pytest.mark.parametrize(("text", "size"), [("2G", 2 << 30), ("500M", 500 << 20), ("64k", 65536), ("1GiB", 1 << 30)])
def test_sizes_are_read(text: str, size: int) -> None:
    assert quantities.size(text) == size


@pytest.mark.parametrize("text", ["", "d", "3", "-1d", "3 years", "1e3d"])
def test_a_wrong_duration_says_the_forms(text: str) -> None:
    with pytest.raises(ValueError, match="30d, 12h, 90m"):
        quantities.duration(text)
