"""The laws that every kind keeps, here on kinds that need nothing but a directory of their own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.agent import kinds
from personaplex_provision.agent.resource import dump
from personaplex_provision.executors.connection import Connection
from tests.lab.fingerprint import Fingerprinter, difference
from tests.laws.case import Case
from tests.laws.collect import cases
from tests.laws.driver import Driver, task_of

LOCAL = [one for one in cases() if not one.lab]


def names(case: Case) -> str:
    return f"{case.kind}: {case.id}"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "case"
    folder.mkdir()
    return folder


def filled(value: Any, folder: str) -> Any:
    if isinstance(value, dict):
        return {key: filled(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, folder) for item in value]
    return value.replace("{dir}", folder) if isinstance(value, str) else value


def prepare(case: Case, folder: Path) -> Driver:
    for argv in case.setup:
        subprocess.run(filled(argv, str(folder)), check=True, capture_output=True, cwd=folder)
    return Driver(Connection("localhost", "local"), str(folder.parent / "state"))


def moved(before: dict[str, Any], folder: Path) -> list[str]:
    return difference(before, Fingerprinter().of(folder))


@pytest.mark.parametrize("case", LOCAL, ids=names)
def test_a_kind_keeps_the_laws(case: Case, place: Path) -> None:
    driver = prepare(case, place)
    task, resource, stock = task_of(case.kind, filled(case.params, str(place)))
    start = Fingerprinter().of(place)

    first, second = driver.plan(task, stock), driver.plan(task, stock)
    assert first["action"] == second["action"]
    assert first.get("diff") == second.get("diff")
    assert (first["action"] not in ("none",)) == case.changes, first
    assert moved(start, place) == [], "observing changed something"

    end = driver.apply(task, stock)
    assert end is not None
    assert end["outcome"] == ("changed" if case.changes else "ok"), end
    if resource.readable:
        applied = Fingerprinter().of(place)
        assert driver.plan(task, stock)["action"] == "none", "after apply the check is not empty"
        again = driver.apply(task, stock)
        assert again is not None and again["outcome"] == "ok", again
        assert moved(applied, place) == [], "a second apply changed something"

    if case.changes and case.exact:
        back = driver.rollback()
        assert back["type"] == "rolled_back" and back["good"], back
        assert moved(start, place) == [], "rollback did not restore everything"


@pytest.mark.parametrize("case", LOCAL, ids=names)
def test_a_resource_survives_the_wire(case: Case, place: Path) -> None:
    _, resource, stock = task_of(case.kind, filled(case.params, str(place)))
    assert kinds.build(kinds.find(case.kind), dump(resource), dict(stock.secrets)) == resource


@pytest.mark.slow
@pytest.mark.parametrize("case", [one for one in LOCAL if one.kills and one.exact and one.changes], ids=names)
def test_killed_anywhere_it_is_old_or_new(case: Case, tmp_path: Path) -> None:
    old = new = None
    for number in range(1, 200):
        folder = tmp_path / str(number) / "case"
        folder.mkdir(parents=True)
        driver = prepare(case, folder)
        task, _, stock = task_of(case.kind, filled(case.params, str(folder)))
        before = Fingerprinter().of(folder)
        ended = driver.apply(task, stock, fault_at=number)
        driver.recover(stock)
        left = moved(before, folder)
        if left:
            plan = driver.plan(task, stock)
            assert plan["action"] == "none", f"killed at operation {number}: neither old nor new: {left} {plan}"
            new = number
        else:
            old = number
        if ended is not None:
            break
    else:
        pytest.fail("the case never came to its end")
    assert old is not None and new is not None
