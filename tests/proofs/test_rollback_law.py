"""What a playbook did is taken back whole, whatever was there before and however far it came."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from personaplex_provision.runs.fleet import Fleet
from personaplex_provision.runs.options import Options
from personaplex_provision.runs.project import open_project
from personaplex_provision.runs.undo import rollback
from tests.lab.fingerprint import Fingerprint, Fingerprinter, difference
from tests.proofs.conftest import Figure
from tests.proofs.playbooks import draw, past

pytestmark = pytest.mark.slow

PLAYBOOKS = int(os.environ.get("PROVISION_PLAYBOOKS", "20"))
Event = dict[str, Any]


class Bench:
    """This machine, and one directory of it on which playbooks work."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.place = top / "place"
        inventory = top / "hosts.yml"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {"localhost": {"ansible_connection": "local"}}}}))
        self.inventory = [str(inventory)]
        self.playbooks = self.ended = self.changed = 0

    def begin(self, lot: random.Random) -> None:
        """A place with a past, and no run behind it."""
        for name in ("place", "state", "kept", "playbooks"):
            shutil.rmtree(self.top / name, ignore_errors=True)
        self.place.mkdir()
        past(random.Random(lot.randrange(1 << 16)), self.place)

    def apply(self, lot: random.Random, name: str, first: int = 0) -> str:
        """Applies a playbook that is drawn; the id of the run. It may fail on its way: that is taken back too."""
        made = draw(lot, str(self.place), first=first)
        if not first:
            made.prepare(Path("/"))
            self.before = self.look()
        note(made.text())
        events: list[Event] = []
        fleet = Fleet(open_project(Options(inventory=self.inventory), str(made.write(self.top / "playbooks" / name))),
                      events.append)
        try:
            code = fleet.apply(lambda: True)
        finally:
            fleet.close()
        bad = [one for one in events if one["type"] == "diagnostic" or one.get("outcome") == "failed"]
        assert code in (0, 4) and not any(one.get("bug") for one in events), bad
        note(f"exit {code}: {bad}")
        self.playbooks += 1
        self.ended += code == 0
        self.changed += sum(one["type"] == "task_end" and one["outcome"] == "changed" for one in events)
        return str(events[0]["run"])

    def back(self, **wanted: str) -> None:
        """Takes runs back."""
        events: list[Event] = []
        options = Options(inventory=self.inventory)
        code = rollback(options, events.append, run=wanted.get("run", ""), to=wanted.get("to", ""))
        assert code == 0, events

    def look(self) -> Fingerprint:
        """Everything at the place."""
        return Fingerprinter().of(self.place)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, figure: Figure) -> Iterator[Bench]:
    found = Bench(tmp_path_factory.mktemp("law"))
    yield found
    figure(f"{found.playbooks} generated playbooks taken back, {found.changed} changed tasks; "
           f"{found.ended} of them came to their end")


@settings(
    max_examples=PLAYBOOKS // 2, derandomize=True, database=None, deadline=None, report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
)
@given(lot=st.randoms(use_true_random=False))
def test_a_playbook_is_taken_back_whole_and_so_is_what_came_after_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, lot: random.Random
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(bench.top / "state"))
    monkeypatch.setenv("PROVISION_STATE_DIR", str(bench.top / "kept"))
    bench.begin(lot)
    first = bench.apply(lot, "first")
    between = bench.look()
    bench.apply(lot, "second", 100)
    bench.back(to=first)
    assert difference(between, bench.look()) == []
    bench.back(run=first)
    assert difference(bench.before, bench.look()) == []
