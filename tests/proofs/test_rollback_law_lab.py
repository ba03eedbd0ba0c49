"""On a host, over SSH: accounts, units, packages and files of generated playbooks are taken back whole."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.runs.fleet import Fleet
from personaplex_provision.runs.options import Options
from personaplex_provision.runs.project import open_project
from personaplex_provision.runs.undo import rollback
from tests.lab.fingerprint import difference
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.proofs.conftest import Figure
from tests.proofs.playbooks import draw, past

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(900)]

PLAYBOOKS = int(os.environ.get("PROVISION_PLAYBOOKS", "20")) // 5
Event = dict[str, Any]


@pytest.fixture(scope="module")
def host(lab: Lab, figure: Figure) -> Iterator[LabHost]:
    with lab.host("bookworm") as running:
        yield running
    figure(f"{PLAYBOOKS} generated playbooks with accounts, packages and units taken back on a host")


@pytest.mark.parametrize("seed", range(1, PLAYBOOKS + 1))
def test_a_playbook_with_accounts_and_units_is_taken_back_whole(
    seed: int, host: LabHost, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = f"/srv/law{seed}"
    lot = random.Random(seed)
    made = draw(lot, folder, system=True)
    made.prepare(host.root)
    past(lot, host.root / folder.lstrip("/"), git=False)
    before = host.fingerprint()
    options = Options(inventory=[str(lab.inventory([host]))])
    events: list[Event] = []
    fleet = Fleet(open_project(options, str(made.write(tmp_path / "playbook"))), events.append)
    try:
        code = fleet.apply(lambda: True)
    finally:
        fleet.close()
    bad = [one for one in events if one["type"] == "diagnostic" or one.get("outcome") == "failed"]
    assert code in (0, 4) and not any(one.get("bug") for one in bad), bad
    back: list[Event] = []
    if any(one.get("outcome") == "changed" for one in events):
        assert rollback(options, back.append, run=str(events[0]["run"])) == 0, (back, made.text())
    assert difference(before, host.fingerprint()) == [], made.text()
