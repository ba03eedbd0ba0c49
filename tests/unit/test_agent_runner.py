"""Which tasks of a graph run, side by side or not, after which failures; straight at the agent."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from personaplex_provision.agent.task import Task
from personaplex_provision.runs.identity import new_run
from tests.unit.agents import Agents, join, shell, touch, write


@pytest.fixture
def agents(tmp_path: Path) -> Agents:
    return Agents(str(tmp_path / "state"))


def test_what_requires_a_failed_task_is_blocked(agents: Agents, tmp_path: Path) -> None:
    found = agents.run(shell("exit 3", "bad"), touch(tmp_path / "f", "next", ("bad",)), on_failure="continue")
    assert found == {"bad": "failed", "next": "blocked"}
    assert agents.end("next")["reason"] == "bad did not succeed"
    assert agents.end("bad")["diagnostic"]["summary"]


def test_after_a_failure_nothing_new_starts_unless_told_to_go_on(agents: Agents, tmp_path: Path) -> None:
    tasks = [shell("exit 3", "bad"), touch(tmp_path / "f", "other")]
    assert agents.run(*tasks) == {"bad": "failed", "other": "blocked"}
    assert agents.run(*tasks, on_failure="continue") == {"bad": "failed", "other": "changed"}


def test_an_ignored_failure_stops_nothing(agents: Agents, tmp_path: Path) -> None:
    found = agents.run(shell("exit 3", "bad", ignore_errors=True), touch(tmp_path / "f", "next", ("bad",)))
    assert found == {"bad": "failed", "next": "changed"}
    assert agents.end("bad")["ignored"]


def test_a_skipped_task_lets_others_pass_and_says_why(agents: Agents, tmp_path: Path) -> None:
    found = agents.run(touch(tmp_path / "f", "no", skipped="when: false"), touch(tmp_path / "g", "next", ("no",)))
    assert found == {"no": "skipped", "next": "changed"}
    assert agents.end("no")["reason"] == "when: false" and not (tmp_path / "f").exists()


def block(body: Task, rescue: Task, always: Task) -> list[Task]:
    """A block of three tasks as the compiler makes it."""
    watched = ["body", "rescue"]
    for task in (rescue, always):
        task.requires = [[one, "the block"] for one in (watched if task is always else ["body"])]
        task.trigger = "always" if task is always else "failed"
        task.trigger_on = watched if task is always else ["body"]
    body.block = "body"
    return [
        body, join("body", (body.address,)), rescue, join("rescue", (rescue.address,), trigger_on=["body"]), always,
        join("always", (always.address,), trigger="always", trigger_on=watched),
        join("end", ("body", "rescue", "always"), trigger="block", trigger_on=["body", "always"], rescued_by="rescue"),
    ]


def test_a_block_that_succeeds_needs_no_rescue_and_still_runs_what_always_runs(agents: Agents, tmp_path: Path) -> None:
    tasks = block(touch(tmp_path / "a"), touch(tmp_path / "r"), touch(tmp_path / "z"))
    found = agents.run(*tasks, touch(tmp_path / "after", "after", ("end",)))
    assert found["a"] == found["z"] == found["after"] == "changed"
    assert not (tmp_path / "r").exists()


def test_a_rescue_makes_a_failure_good(agents: Agents, tmp_path: Path) -> None:
    tasks = block(shell("exit 3", "a"), touch(tmp_path / "r"), touch(tmp_path / "z"))
    found = agents.run(*tasks, touch(tmp_path / "after", "after", ("end",)))
    assert found == {"a": "failed", "r": "changed", "z": "changed", "after": "changed"}


def test_a_rescue_that_fails_fails_the_block_and_what_always_runs_runs(agents: Agents, tmp_path: Path) -> None:
    tasks = block(shell("exit 3", "a"), shell("exit 4", "r"), touch(tmp_path / "z"))
    found = agents.run(*tasks, touch(tmp_path / "after", "after", ("end",)))
    assert found == {"a": "failed", "r": "failed", "z": "changed", "after": "blocked"}


def test_what_always_runs_fails_the_block_too(agents: Agents, tmp_path: Path) -> None:
    tasks = block(touch(tmp_path / "a"), touch(tmp_path / "r"), shell("exit 3", "z"))
    found = agents.run(*tasks, touch(tmp_path / "after", "after", ("end",)))
    assert (found["a"], found["z"], found["after"]) == ("changed", "failed", "blocked")


def handler(path: Path, after: str) -> Task:
    return touch(path, "handler", requires=[[after, "notified by it"]], trigger="notified", trigger_on=[after],
                 handler="told")


def test_a_handler_runs_when_what_notifies_it_changed_and_not_otherwise(agents: Agents, tmp_path: Path) -> None:
    tasks = [write(tmp_path / "f", "x", notify=["handler"]), handler(tmp_path / "told", "f")]
    assert agents.run(*tasks) == {"f": "changed", "handler": "changed"}
    (tmp_path / "told").unlink()
    assert agents.run(*tasks)["f"] == "ok"
    assert not (tmp_path / "told").exists()


def test_a_handler_that_a_failure_held_back_is_owed_and_runs_the_next_time(agents: Agents, tmp_path: Path) -> None:
    bad = shell(f"test -e {tmp_path}/mended", "bad", ("f",), creates=str(tmp_path / "mended"))
    tasks = [write(tmp_path / "f", "x", notify=["handler"]), bad, handler(tmp_path / "told", "f")]
    assert agents.run(*tasks) == {"f": "changed", "bad": "failed", "handler": "blocked"}
    with agents.talk():
        assert agents.hello["owed"] == ["told"]
    (tmp_path / "mended").touch()
    assert agents.plan(*tasks)["handler"]["name"] == "handler (owed since an earlier run)"
    assert agents.run(*tasks) == {"f": "ok", "bad": "ok", "handler": "changed"}
    with agents.talk():
        assert agents.hello["owed"] == []


def test_handlers_can_be_forced(agents: Agents, tmp_path: Path) -> None:
    tasks = [write(tmp_path / "f", "x", notify=["handler"]), shell("exit 3", "bad", ("f",)),
             handler(tmp_path / "told", "f")]
    assert agents.run(*tasks, force_handlers=True)["handler"] == "changed"


def test_tasks_without_an_edge_run_side_by_side(agents: Agents, tmp_path: Path) -> None:
    # Each waits for the other, which only ends well when both run at once.
    wait = "touch {a}; for i in $(seq 200); do [ -e {b} ] && exit 0; sleep 0.02; done; exit 1"
    a, b = tmp_path / "a", tmp_path / "b"
    found = agents.run(shell(wait.format(a=a, b=b), "one"), shell(wait.format(a=b, b=a), "two"), jobs=2)
    assert found == {"one": "changed", "two": "changed"}


def test_tasks_that_share_something_exclusive_take_turns(agents: Agents, tmp_path: Path) -> None:
    alone = f"mkdir {tmp_path}/held && sleep 0.1 && rmdir {tmp_path}/held"
    tasks = [shell(alone, f"t{number}", exclusive=["dpkg"]) for number in range(3)]
    assert set(agents.run(*tasks, jobs=3).values()) == {"changed"}


def test_a_failed_task_is_tried_again_and_says_how_often(agents: Agents, tmp_path: Path) -> None:
    counted = f"echo x >> {tmp_path}/tries; [ $(wc -l < {tmp_path}/tries) -ge 3 ]"
    task = shell(counted, "at last", retries=4, delay=0.01, register="r")
    assert agents.run(task) == {"at last": "changed"}
    assert agents.end("at last")["result"]["attempts"] == 3
    assert (tmp_path / "tries").read_text() == "x\n" * 3


def test_a_constant_changed_when_wins(agents: Agents) -> None:
    assert agents.run(shell("true", "quiet", changed=False)) == {"quiet": "ok"}


def test_a_task_that_takes_too_long_is_killed(agents: Agents) -> None:
    began = time.monotonic()
    assert agents.run(shell("sleep 30", "slow", timeout=0.2)) == {"slow": "failed"}
    assert time.monotonic() - began < 10
    assert "did not finish within 0.2 seconds" in agents.end("slow")["diagnostic"]["summary"]


def test_a_stopped_run_finishes_its_step_and_starts_no_other(agents: Agents, tmp_path: Path) -> None:
    tasks = [shell("sleep 0.5", "running"), touch(tmp_path / "f", "next", ("running",))]
    with agents.talk() as talk:
        talk.ask({"type": "begin", "run": new_run(), "meta": {}}, "begun")
        talk.send({"type": "apply", "tasks": [one.to_json() for one in tasks], "jobs": 1})
        while not any(one["type"] == "task_start" for one in agents.events):
            talk.tell(talk._receive())
        talk.send({"type": "stop"})
        assert talk.follow("applied") == {"type": "applied", "failed": False, "stopped": True}
        talk.ask({"type": "end", "outcome": "interrupted"}, "ended")
    assert agents.outcomes() == {"running": "changed", "next": "blocked"}


def test_a_stop_that_kills_ends_the_running_command(agents: Agents) -> None:
    with agents.talk() as talk:
        talk.ask({"type": "begin", "run": new_run(), "meta": {}}, "begun")
        talk.send({"type": "apply", "tasks": [shell("sleep 30", "running").to_json()], "jobs": 1})
        while not any(one["type"] == "task_start" for one in agents.events):
            talk.tell(talk._receive())
        time.sleep(0.3)
        talk.send({"type": "stop", "kill": True})
        assert talk.follow("applied")["stopped"]
        talk.ask({"type": "end", "outcome": "interrupted"}, "ended")
    assert agents.outcomes() == {"running": "failed"}


def test_a_run_whose_controller_goes_away_closes_its_journal(agents: Agents, tmp_path: Path) -> None:
    with agents.talk() as talk:
        talk.ask({"type": "begin", "run": new_run(), "meta": {}}, "begun")
        talk.send({"type": "apply", "tasks": [touch(tmp_path / "f").to_json()], "jobs": 1})
        talk.follow("applied")
    (run,) = agents.runs()
    assert run["outcome"] == "interrupted" and run["changed"]


def test_a_run_takes_itself_back_when_asked_to(agents: Agents, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("before\n")
    tasks = [write(tmp_path / "f", "x"), shell("exit 3", "bad", ("f",))]
    assert agents.run(*tasks, rollback=True) == {"f": "changed", "bad": "failed"}
    assert (tmp_path / "f").read_text() == "before\n"


def test_a_bug_of_a_kind_ends_its_task_and_not_the_run(agents: Agents, tmp_path: Path) -> None:
    found = agents.run(Task("odd", "odd", "lineinfile", {"no_such_field": 1}), touch(tmp_path / "f"),
                       on_failure="continue")
    assert found.get("f") == "changed" and found.get("odd", "failed") == "failed"
