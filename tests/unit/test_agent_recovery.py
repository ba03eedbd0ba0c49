"""What a killed run leaves behind, and what taking runs back refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from personaplex_provision.agent.lease import Lease
from personaplex_provision.agent.store import Store
from tests.lab.fingerprint import Fingerprinter, difference
from tests.unit.agents import Agents, shell, touch, write


@pytest.fixture
def agents(tmp_path: Path) -> Agents:
    return Agents(str(tmp_path / "state"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "old").write_text("before\n")
    return folder


def test_a_chain_killed_anywhere_is_finished_by_running_it_again(tmp_path: Path) -> None:
    ends = set()
    for number in range(1, 80):
        place, agents = tmp_path / str(number) / "place", Agents(str(tmp_path / str(number) / "state"))
        place.mkdir(parents=True)
        (place / "old").write_text("before\n")
        start = Fingerprinter().of(place)
        tasks = [write(place / "old", "one", "first"), write(place / "new", "two", "second", ("first",))]
        ended = agents.run(*tasks, fault_at=number)
        agents.run(*tasks)
        assert (place / "old").read_text() == "before\none\n" and (place / "new").read_text() == "two\n", number
        assert sorted(one.name for one in place.iterdir()) == ["new", "old"], f"killed at operation {number}"
        back = agents.rollback(run=agents.runs()[0]["run"])
        assert back["type"] == "rolled_back" and back["good"], (number, back)
        assert difference(start, Fingerprinter().of(place)) == [], f"killed at operation {number}"
        ends.add(bool(ended))
        if ended:
            break
    assert ends == {False, True}, "the chain was killed, and came to its end at last"


def killed_in_the_middle(agents: Agents, *tasks: object) -> int:
    """Kills a run at the first operation at which a step is left unfinished; returns that operation."""
    for number in range(1, 60):
        agents.run(*tasks, fault_at=number)  # type: ignore[arg-type]
        with agents.talk():
            if agents.hello["unfinished"]:
                return number
    pytest.fail("no operation left a step unfinished")


def test_an_unfinished_step_is_known_before_anything_is_done(agents: Agents, place: Path) -> None:
    killed_in_the_middle(agents, write(place / "old", "one", "first"))
    assert agents.hello["unfinished"] == ["first"]
    assert agents.runs()[-1]["outcome"] == "unfinished"


def test_a_command_that_was_cut_off_is_told_since_nothing_is_known_of_it(agents: Agents, place: Path) -> None:
    killed_in_the_middle(agents, shell("true", "who knows"))
    agents.run(touch(place / "f"))
    said = [one["summary"] for one in agents.events if one["type"] == "diagnostic"]
    assert said == ['"who knows" was interrupted; how far it came cannot be told, look before running it again']
    assert agents.hello["unfinished"] == ["who knows"]
    with agents.talk():
        assert agents.hello["unfinished"] == []


def test_a_handler_of_a_step_that_was_cut_off_is_owed(agents: Agents, place: Path) -> None:
    tasks = [
        write(place / "old", "one", "first", notify=["handler"]),
        touch(place / "told", "handler", requires=[["first", "notified by it"]], trigger="notified",
              trigger_on=["first"], handler="told"),
    ]
    killed_in_the_middle(agents, *tasks)
    assert agents.hello["owed"] == ["told"]
    assert agents.run(*tasks)["handler"] == "changed"


def test_rollback_refuses_what_someone_changed_since(agents: Agents, place: Path) -> None:
    agents.run(write(place / "old", "one", "first"))
    (place / "old").write_text("by hand\n")
    back = agents.rollback()
    assert back["type"] == "moved" and [one["path"] for one in back["paths"]] == [str(place / "old")]
    assert (place / "old").read_text() == "by hand\n"
    assert agents.rollback(force=True)["good"]
    assert (place / "old").read_text() == "before\n"


def test_the_plan_of_a_rollback_says_what_it_would_do_and_does_nothing(agents: Agents, place: Path) -> None:
    agents.run(write(place / "old", "one", "first"), shell("true", "for good", ("first",)))
    back = agents.rollback(plan=True)
    assert back["plan"] and back["moved"] == []
    told = {one["task"]: one for one in agents.events}
    assert told["first"]["action"] == "undo" and "-one" in told["first"]["preview"]
    assert told["for good"]["action"] == "none" and "cannot be taken back" in told["for good"]["reason"]
    assert (place / "old").read_text() == "before\none\n"


def test_runs_are_taken_back_to_the_one_that_is_named(agents: Agents, place: Path) -> None:
    for word in ("one", "two", "three"):
        agents.run(write(place / "old", word))
    first, second, third = (one["run"] for one in agents.runs())
    assert agents.rollback(to=first)["runs"] == [second, third]
    assert (place / "old").read_text() == "before\none\n"
    assert agents.rollback(run=first)["good"]
    assert (place / "old").read_text() == "before\n"


def test_a_rollback_is_a_run_that_can_be_taken_back(agents: Agents, place: Path) -> None:
    agents.run(write(place / "old", "one"))
    agents.rollback()
    assert (place / "old").read_text() == "before\n"
    assert agents.rollback()["good"]
    assert (place / "old").read_text() == "before\none\n"


def test_a_run_that_is_not_recorded_is_refused(agents: Agents) -> None:
    from personaplex_provision.runs.conversation import AgentError

    with pytest.raises(AgentError, match='no run on this host starts with "2001"'):
        agents.rollback(run="2001")


def test_the_undo_of_the_author_is_what_takes_a_command_back(agents: Agents, place: Path) -> None:
    undo = {"kind": "shell", "params": {"cmd": f"rm {place}/made"}}
    agents.run(touch(place / "made", undo=undo))
    assert agents.rollback()["good"]
    assert not (place / "made").exists()


def test_a_failed_undo_is_told_and_the_rest_is_taken_back(agents: Agents, place: Path) -> None:
    undo = {"kind": "shell", "params": {"cmd": "echo no >&2; exit 7"}}
    agents.run(write(place / "old", "one", "first"), shell("true", "second", ("first",), undo=undo))
    back = agents.rollback()
    assert not back["good"]
    failed = [one for one in agents.events if one.get("outcome") == "failed"]
    assert [one["task"] for one in failed] == ["second"] and failed[0]["diagnostic"]["detail"] == "no"
    assert (place / "old").read_text() == "before\n"


def test_a_host_that_is_held_is_not_rolled_back(agents: Agents, place: Path) -> None:
    agents.run(write(place / "old", "one"))
    lease = Lease(Store(agents.root))
    lease.take({"who": "someone", "run": "r"})
    assert agents.rollback()["holder"]["who"] == "someone"
    lease.free()
    assert (place / "old").read_text() == "before\none\n"


def test_the_history_tells_what_runs_did(agents: Agents, place: Path) -> None:
    agents.run(write(place / "old", "one"))
    agents.run(write(place / "old", "one"))
    agents.run(shell("exit 3", "bad"))
    agents.rollback(run=agents.runs()[0]["run"])
    first, second, third, back = agents.runs()
    assert (first["changed"], first["undone"], first["reversible"]) == (1, True, "exact")
    assert second["changed"] == 0 and third["failed"] == 1
    assert back["undoes"] == [first["run"]]
    assert json.dumps(back)
