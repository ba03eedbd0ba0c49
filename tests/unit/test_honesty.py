"""The plan does not lie: fifty generated playbooks on this machine, each below a directory of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from personaplex_provision.runs.fleet import Fleet
from personaplex_provision.runs.options import Options
from personaplex_provision.runs.project import open_project
from personaplex_provision.runs.undo import rollback
from tests.lab.fingerprint import Fingerprinter, difference
from tests.lab.generated import generate
from tests.lab.honesty import lies, undecided

TOP = Path(__file__).parents[2]
LOCAL = {"all": {"hosts": {"localhost": {"ansible_connection": "local"}}}}


Event = dict[str, Any]


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    """This machine, with all state below the test's own directory."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path / "kept"))
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(yaml.safe_dump(LOCAL))
    return Options(inventory=[str(inventory)])


def applied(options: Options, playbook: Path) -> list[Event]:
    """The events of applying a playbook, its plan included."""
    events: list[Event] = []
    fleet = Fleet(open_project(options, str(playbook)), events.append)
    try:
        code = fleet.apply(lambda: True)
    finally:
        fleet.close()
    assert code == 0, [one for one in events if one["type"] == "diagnostic" or one.get("outcome") == "failed"]
    return events


@pytest.mark.parametrize("seed", range(50))
def test_a_generated_playbook_does_what_its_plan_said_and_is_taken_back(
    seed: int, options: Options, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    written = generate(seed, str(place))
    written.prepare(Path("/"))
    before = Fingerprinter().of(place)
    events = applied(options, written.write(tmp_path / "playbook"))
    assert lies(events, events) == []
    left, tasks = undecided(events)
    assert len(left) <= tasks / 10, left
    assert rollback(options, lambda _event: None) == 0
    assert difference(before, Fingerprinter().of(place)) == []


def test_the_quickstart_does_what_its_plan_said(options: Options, tmp_path: Path) -> None:
    options.extra_vars = [f"quickstart_home={tmp_path / 'quickstart'}"]
    events = applied(options, TOP / "playbooks/quickstart.yml")
    assert lies(events, events) == []
    assert len(undecided(events)[0]) <= undecided(events)[1] / 10, undecided(events)


def test_a_lie_is_found() -> None:
    plan: list[Event] = [{"type": "plan_task", "task": one, "action": action} for one, action in (
        ("quiet", "none"), ("loud", "update"), ("open", "unknown"))]
    ends: list[Event] = [{"type": "task_end", "task": one, "outcome": outcome} for one, outcome in (
        ("quiet", "changed"), ("loud", "ok"), ("open", "ok"), ("hidden", "changed"))]
    assert [line.split()[0] for line in lies(plan, ends)] == ["quiet", "hidden", "loud", "open"]
