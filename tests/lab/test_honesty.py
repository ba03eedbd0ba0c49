"""The plan does not lie: on a blank host, for the main job and for playbooks with accounts and packages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.runs.fleet import Fleet
from personaplex_provision.runs.options import Options
from personaplex_provision.runs.project import open_project
from personaplex_provision.runs.undo import rollback

from .fingerprint import difference
from .generated import generate
from .honesty import lies, undecided
from .host import LabHost
from .lab import Lab
from .mainjob import MainJob

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_plan_of_the_main_job_is_what_applying_does(main_job: MainJob) -> None:
    assert lies(main_job.said["plan"].events, main_job.said["apply"].events) == []


def test_of_the_main_job_at_most_one_task_in_ten_is_left_open(main_job: MainJob) -> None:
    left, tasks = undecided(main_job.said["plan"].events)
    assert len(left) <= tasks / 10, left


@pytest.fixture(scope="module")
def host(lab: Lab) -> Iterator[LabHost]:
    with lab.host("bookworm") as running:
        yield running


@pytest.mark.parametrize("seed", range(1, 9))
def test_a_plan_with_accounts_and_packages_is_what_applying_does(
    seed: int, host: LabHost, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    written = generate(seed, f"/srv/generated{seed}", system=True)
    written.prepare(host.root)
    playbook = written.write(tmp_path / "playbook")
    options = Options(inventory=[str(lab.inventory([host]))])
    before = host.fingerprint()
    events: list[dict[str, Any]] = []
    fleet = Fleet(open_project(options, str(playbook)), events.append)
    try:
        code = fleet.apply(lambda: True)
    finally:
        fleet.close()
    assert code == 0, [one for one in events if one["type"] == "diagnostic" or one.get("outcome") == "failed"]
    assert lies(events, events) == []
    assert rollback(options, lambda _event: None) == 0
    assert difference(before, host.fingerprint()) == []
