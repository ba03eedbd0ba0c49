"""What rollback brings back, what it leaves to others, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from personaplex_provision.agent import journal as journals
from personaplex_provision.agent.foresight import Foresight
from personaplex_provision.agent.store import Store
from personaplex_provision.agent.task import Task
from tests.lab.fingerprint import Fingerprinter, difference
from tests.unit.agents import Agents, shell, write


@pytest.fixture
def agents(tmp_path: Path) -> Agents:
    return Agents(str(tmp_path / "state"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "old").write_text("before\n")
    (folder / "old").chmod(0o644)
    return folder


def mode(path: Path, bits: str, name: str = "") -> Task:
    """A task that sets the permission bits."""
    return Task(name or path.name, name or path.name, "file", {"path": str(path), "mode": bits})


def told(agents: Agents) -> list[dict[str, object]]:
    """What the last command told of each step, less what only one of plan and rollback can know."""
    apart = ("action", "outcome", "seconds", "ts")
    found = [one for one in agents.events if one["type"] == "rollback_task"]
    return [{key: value for key, value in one.items() if key not in apart} for one in found]


def test_a_mode_that_someone_set_since_stays_and_is_reported(agents: Agents, place: Path) -> None:
    agents.run(write(place / "old", "one"))
    (place / "old").chmod(0o600)
    back = agents.rollback()
    assert back["good"], back
    assert (place / "old").read_text() == "before\n" and (place / "old").stat().st_mode & 0o777 == 0o600
    [event] = [one for one in agents.events if one["type"] == "rollback_task"]
    assert event["stays"] == [{"path": str(place / "old"), "field": "mode", "left": "0644", "now": "0600"}]
    assert event["reason"] == f"stays as someone made it since: {place}/old mode 0644 → 0600"


def test_a_content_that_someone_wrote_since_stays_when_the_run_set_the_mode(agents: Agents, place: Path) -> None:
    agents.run(mode(place / "old", "0600"))
    (place / "old").write_text("by hand\n")
    assert agents.rollback()["good"]
    assert (place / "old").read_text() == "by hand\n" and (place / "old").stat().st_mode & 0o777 == 0o644


def test_what_both_changed_is_refused_with_the_difference(agents: Agents, place: Path) -> None:
    agents.run(mode(place / "old", "0640"), write(place / "old", "one", "line", ("old",)))
    (place / "old").chmod(0o604)
    (place / "old").write_text("before\nONE\n")
    before = Fingerprinter().of(place)
    back = agents.rollback()
    assert back["type"] == "moved"
    [path] = back["paths"]
    assert [(one["field"], one["left"], one["now"]) for one in path["changes"]] == [
        ("content", "as the run left it", "changed since")]
    assert difference(before, Fingerprinter().of(place)) == [], "a refusal touches nothing"
    assert agents.rollback(force=True)["good"]
    assert (place / "old").read_text() == "before\n"


def test_the_difference_of_a_text_is_shown_and_that_of_a_private_file_is_not(agents: Agents, place: Path) -> None:
    for bits, shown in ((0o644, True), (0o600, False)):
        (place / "old").chmod(bits)
        agents.run(write(place / "old", "one"))
        (place / "old").write_text("before\nONE\n")
        [path] = agents.rollback()["paths"]
        wanted = "@@ -1,2 +1,2 @@\n before\n-one\n+ONE" if shown else None
        assert [one.get("text") for one in path["changes"]] == [wanted]
        agents.rollback(force=True)


def test_the_run_s_line_goes_and_the_other_hand_s_line_stays(agents: Agents, place: Path) -> None:
    agents.run(write(place / "old", "ours"))
    with (place / "old").open("a") as file:
        file.write("theirs\n")
    assert agents.rollback()["good"]
    assert (place / "old").read_text() == "before\ntheirs\n"
    [event] = [one for one in agents.events if one["type"] == "rollback_task"]
    assert event["stays"][0]["text"] == "@@ -1,2 +1,3 @@\n before\n ours\n+theirs"


def test_edits_of_several_runs_count_through_their_own_journals(agents: Agents, place: Path) -> None:
    agents.run(write(place / "old", "first"))
    agents.run(write(place / "old", "second"), write(place / "old", "third", "again", ("old",)))
    (place / "old").write_text("mine\n" + (place / "old").read_text())
    assert agents.rollback(run=agents.runs()[0]["run"])["good"]
    assert (place / "old").read_text() == "mine\nbefore\n"


def test_what_someone_did_between_two_runs_is_seen_too(agents: Agents, place: Path) -> None:
    agents.run(write(place / "old", "first"))
    (place / "old").write_text("before\nFIRST\n")
    agents.run(write(place / "old", "second"))
    assert agents.rollback(run=agents.runs()[0]["run"])["type"] == "moved"
    assert (place / "old").read_text() == "before\nFIRST\nsecond\n"


def test_what_was_put_back_by_hand_already_is_no_obstacle(agents: Agents, place: Path) -> None:
    agents.run(write(place / "old", "one"), write(place / "new", "two", after=("old",)))
    (place / "old").write_text("before\n")
    (place / "new").unlink()
    assert agents.rollback()["good"]
    assert (place / "old").read_text() == "before\n" and not (place / "new").exists()


def test_the_rollback_does_what_its_plan_said(agents: Agents, place: Path) -> None:
    (place / "kept").write_text("kept\n")
    agents.run(
        write(place / "old", "one", "edited"), mode(place / "kept", "0600", "mode"),
        write(place / "new", "two", "made"),
        Task("folder", "folder", "file", {"path": str(place / "d/e"), "state": "directory"}),
        shell("true", "for good", ("edited",)),
    )
    (place / "old").chmod(0o600)
    (place / "kept").write_text("by hand\n")
    (place / "d/theirs").touch()
    agents.rollback(plan=True)
    planned = told(agents)
    assert agents.rollback()["good"]
    assert planned == told(agents)
    assert {one["task"] for one in planned} == {"edited", "mode", "made", "folder", "for good"}


def test_a_journal_of_an_earlier_version_is_rolled_back(agents: Agents, place: Path) -> None:
    agents.run(write(place / "old", "one"))
    age(agents)
    assert agents.rollback()["good"]
    assert (place / "old").read_text() == "before\n"


def test_with_a_journal_of_an_earlier_version_any_later_change_is_refused(agents: Agents, place: Path) -> None:
    agents.run(write(place / "old", "one"))
    age(agents)
    (place / "old").chmod(0o600)
    assert [one["path"] for one in agents.rollback()["paths"]] == [str(place / "old")]
    assert agents.rollback(force=True)["good"]
    assert (place / "old").read_text() == "before\n" and (place / "old").stat().st_mode & 0o777 == 0o644


def age(agents: Agents) -> None:
    """Writes the marks of the newest run as they were before they knew aspects: one digest a path."""
    from personaplex_provision.agent.look import digest

    store = Store(agents.root)
    run = store.runs()[-1]
    records = journals.read(store, run)
    for record in records:
        for path, marked in record.get("marks", {}).items():
            marked[0] = digest(path, marked[1])
    Path(store.path("runs", run, "journal.jsonl")).write_bytes(b"".join(map(journals.encode, records)))
    assert json.dumps(records)


def test_an_interrupted_rollback_is_gone_on_with_and_the_whole_of_it_can_be_taken_back(tmp_path: Path) -> None:
    ends = set()
    for number in range(1, 60):
        place, agents = tmp_path / str(number) / "place", Agents(str(tmp_path / str(number) / "state"))
        place.mkdir(parents=True)
        (place / "old").write_text("before\n")
        start = Fingerprinter().of(place)
        tasks = [write(place / "old", "one", "first"), write(place / "new", "two", "second", ("first",)),
                 Task("tree", "tree", "file", {"path": str(place / "d"), "state": "directory"})]
        agents.run(*tasks)
        applied = Fingerprinter().of(place)
        ended = agents.rollback(fault_at=number)["type"] == "rolled_back"
        back = agents.rollback() if not ended else {"good": True}
        assert back.get("good"), (number, back)
        assert difference(start, Fingerprinter().of(place)) == [], f"killed at operation {number}"
        assert agents.rollback()["good"]
        assert difference(applied, Fingerprinter().of(place)) == [], f"killed at operation {number}, taken back again"
        ends.add(ended)
        if ended:
            break
    assert ends == {False, True}


def test_what_was_taken_back_and_done_again_is_taken_back_once(agents: Agents, place: Path) -> None:
    start = Fingerprinter().of(place)
    agents.run(write(place / "old", "one"))
    first = agents.runs()[0]["run"]
    agents.rollback()
    agents.rollback()
    back = agents.rollback(run=first)
    assert back["good"] and len([one for one in agents.events if one["type"] == "rollback_task"]) == 1
    assert difference(start, Fingerprinter().of(place)) == []


def test_what_is_no_file_is_compared_name_by_name(tmp_path: Path) -> None:
    changed: dict[str, list[object]] = {
        "running": ["old", "new"], "state": ["stopped", "started"], "enabled": [False, False],
    }
    for now, comes, stays, refused in (
        ({"running": "new", "state": "started", "enabled": False}, ["running", "state"], [], []),
        ({"running": "new", "state": "started", "enabled": True}, ["running", "state"], ["enabled"], []),
        ({"running": "theirs", "state": "stopped", "enabled": False}, ["running"], [], ["running"]),
        ({"running": "old", "state": "stopped", "enabled": False}, [], [], []),
    ):
        foresight = Foresight(Store(str(tmp_path)), lambda _path: False)
        way = foresight.standing("the service", "service", changed, now)
        assert [one["field"] for one in way.comes] == comes
        assert [one["field"] for one in way.stays] == stays
        assert [one["field"] for one in way.refused] == refused


def test_what_an_earlier_step_left_is_what_a_later_one_found(tmp_path: Path) -> None:
    foresight = Foresight(Store(str(tmp_path)), lambda _path: False)
    assert not foresight.standing("it", "it", {"version": ["2", "3"]}, {"version": "3"}).refused
    assert not foresight.standing("it", "it", {"version": ["1", "2"]}, {"version": "3"}).refused


def test_a_file_that_is_only_someone_s_private_matter_shows_no_content(agents: Agents, place: Path) -> None:
    (place / "old").chmod(0o640)
    agents.run(write(place / "old", "one"))
    agents.rollback(plan=True)
    [event] = told(agents)
    assert "preview" not in event and event["diff"] == [
        {"field": f"{place}/old content", "before": "changed", "after": "as before"}]


def test_steps_that_only_set_a_mode_stand_between_steps_that_write(agents: Agents, place: Path) -> None:
    start = Fingerprinter().of(place)
    agents.run(write(place / "old", "one", "first"), mode(place / "old", "0640", "mode"),
               write(place / "old", "two", "second"), mode(place / "old", "0644", "back"))
    with (place / "old").open("a") as file:
        file.write("theirs\n")
    agents.rollback(plan=True)
    planned = told(agents)
    assert agents.rollback()["good"]
    assert planned == told(agents)
    assert (place / "old").read_text() == "before\ntheirs\n"
    (place / "old").write_text("before\n")
    assert difference(start, Fingerprinter().of(place)) == []


def test_a_plan_after_a_crash_says_that_it_is_put_right_first(agents: Agents, place: Path) -> None:
    tasks = [write(place / "old", "one", "first"), write(place / "new", "two", "second", ("first",))]
    for number in range(1, 60):
        agents.run(*tasks, fault_at=number)
        agents.rollback(plan=True)
        if agents.hello["unfinished"]:
            break
    said = [one["summary"] for one in agents.events if one["type"] == "diagnostic"]
    assert said and "that is put right before anything is compared" in said[0]


def test_history_tells_of_a_rollback_that_is_not_done(agents: Agents, place: Path) -> None:
    undo = {"kind": "shell", "params": {"cmd": f"test -e {place}/mended"}}
    agents.run(write(place / "old", "one", "first"), shell("true", "second", ("first",), undo=undo))
    assert not agents.rollback()["good"]
    first, back = agents.runs()
    assert not first["undone"] and (back["outcome"], back["targets"]) == ("failed", [first["run"]])
    (place / "mended").touch()
    assert agents.rollback()["good"]
    first, back, again = agents.runs()
    assert first["undone"] and (again["outcome"], again["continues"]) == ("ok", back["run"])
    assert [one["name"] for one in agents.events if one.get("outcome") == "changed"] == ["second"]
