"""Whatever legal order the tasks of the main job run in, the host ends up the same: no edge is missing.

PROVISION_ORDERS says how many orders are tried; `make soak` tries twenty. Each host tries one after the other, rolled
back in between, and two hosts work at once, since most of the time goes into waiting for dpkg and pip.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.runs.fleet import Fleet
from personaplex_provision.runs.options import Options
from personaplex_provision.runs.project import open_project
from personaplex_provision.runs.undo import rollback

from .fingerprint import Fingerprint, difference
from .host import LabHost
from .lab import Lab
from .mainjob import PLAYBOOK, MainJob, made

pytestmark = [
    pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(3600),
    # Jinja grumbles at a template's '127\\.', which means the same with two strokes; a run does not hear it.
    pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning"),
]

ORDERS = int(os.environ.get("PROVISION_ORDERS", "4"))
HOSTS = 2


def once(lab: Lab, host: LabHost, seed: int) -> tuple[Fingerprint, list[str]]:
    """What applying in the order of `seed`, one task at a time, makes of the host, and what rolling back leaves."""
    options = Options(
        inventory=[str(lab.inventory([host]))], extra_vars=[f"@{lab.variables_file()}"], shuffle=seed,
    )
    events: list[dict[str, Any]] = []
    before = host.fingerprint()
    fleet = Fleet(open_project(options, str(PLAYBOOK)), events.append)
    try:
        code = fleet.apply(lambda: True)
    finally:
        fleet.close()
    wrong = [one for one in events if one["type"] == "diagnostic" or one.get("outcome") in ("failed", "blocked")]
    assert code == 0, f"order {seed}: {wrong}"
    found = made(before, host.fingerprint())
    assert rollback(options, lambda _event: None) == 0, f"order {seed}"
    return found, difference(before, host.fingerprint())


def test_any_legal_order_ends_the_same(
    main_job: MainJob, lab: Lab, lab_host_for: Callable[[str], LabHost], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    wanted = made(main_job.looks["blank"], main_job.looks["apply"])
    hosts = [lab_host_for("bookworm") for _ in range(min(HOSTS, ORDERS))]
    seeds = [range(1 + number, ORDERS + 1, len(hosts)) for number in range(len(hosts))]

    def work(host: LabHost, mine: range) -> dict[int, tuple[Fingerprint, list[str]]]:
        return {seed: once(lab, host, seed) for seed in mine}

    with ThreadPoolExecutor(len(hosts)) as pool:
        found = {seed: one for result in pool.map(work, hosts, seeds) for seed, one in result.items()}
    assert sorted(found) == list(range(1, ORDERS + 1))
    for seed, (result, left) in sorted(found.items()):
        assert difference(wanted, result) == [], f"order {seed} ends otherwise"
        assert left == [], f"order {seed} is not rolled back"
