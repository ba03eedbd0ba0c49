"""The laws that every kind keeps, here on kinds that need nothing but a directory of their own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from personaplex_provision.agent import kinds
from personaplex_provision.agent.resource import dump
from personaplex_provision.executors.connection import Connection
from tests.lab.fingerprint import Fingerprint, Fingerprinter
from tests.laws.case import Case
from tests.laws.collect import cases
from tests.laws.driver import Driver
from tests.laws.laws import Ground, hold, kill, name_of

LOCAL = [one for one in cases() if not one.lab]


def ground_in(top: Path) -> Ground:
    """A scratch directory in `top`, with the agent's state beside it."""
    folder = top / "case"
    folder.mkdir(parents=True)
    driver = Driver(Connection("localhost", "local"), str(top / "state"))

    def run(argv: list[str]) -> None:
        subprocess.run(argv, check=True, capture_output=True, cwd=folder)

    def look() -> Fingerprint:
        return Fingerprinter().of(folder)

    return Ground(driver, str(folder), run, look, look)


@pytest.mark.parametrize("case", LOCAL, ids=name_of)
def test_a_kind_keeps_the_laws(case: Case, tmp_path: Path) -> None:
    hold(case, ground_in(tmp_path))


@pytest.mark.parametrize("case", LOCAL, ids=name_of)
def test_a_resource_survives_the_wire(case: Case, tmp_path: Path) -> None:
    ground = ground_in(tmp_path)
    _, resource, stock = ground.task(case)
    assert kinds.build(kinds.find(case.kind), dump(resource), dict(stock.secrets)) == resource


@pytest.mark.slow
@pytest.mark.parametrize("case", [one for one in LOCAL if one.kills and one.exact and one.changes], ids=name_of)
def test_killed_anywhere_it_is_old_or_new(case: Case, tmp_path: Path) -> None:
    seen = set()
    for number in range(1, 200):
        ground = ground_in(tmp_path / str(number))
        ground.prepare(case)
        killed = kill(case, ground, number)
        seen.add(killed.new)
        if killed.ended:
            break
    else:
        pytest.fail("the case never came to its end")
    assert seen == {False, True}
