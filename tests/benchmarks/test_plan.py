"""A plan of many small resources costs at most two floors, and starting costs next to nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks import workload
from tests.benchmarks.plan import LIMIT, Bench
from tests.benchmarks.timing import Times, once, table
from tests.lab.lab import Lab

pytestmark = pytest.mark.bench


@pytest.fixture
def place(lab: Lab, tmp_path: Path) -> Iterator[Bench]:
    with lab.host("bookworm") as host:
        yield Bench(lab, host, tmp_path)


def test_the_workload_is_what_it_says() -> None:
    assert len(workload.tasks()) == 184


@pytest.mark.lab
def test_a_run_in_state_costs_at_most_two_floors(place: Bench) -> None:
    times = place.run(9)
    *ours, floor = times
    for one in ours:
        # Pairs, since a busy moment falls on both of a pair.
        ratio = statistics.median(mine / bare for mine, bare in zip(one.seconds, floor.seconds, strict=True))
        assert min(ratio, one.median / floor.median) <= LIMIT, table(times)


@pytest.mark.lab
def test_a_plan_costs_at_most_two_bare_connections(place: Bench) -> None:
    bare, plan = Times("bare"), Times("plan")
    for number in range(10):
        one, other = place.bare(), once(place.detailed, place.tools[0].environment)
        if number:
            bare.runs.append(one)
            plan.runs.append(other)
    ratio = statistics.median(mine / least for mine, least in zip(plan.seconds, bare.seconds, strict=True))
    assert min(ratio, plan.median / bare.median) <= LIMIT, table([plan, bare])


def test_the_version_is_there_in_a_tenth_of_a_second() -> None:
    program = [str(Path(sys.executable).parent / "provision"), "--version"]
    assert min(once(program, {"PYTHONDONTWRITEBYTECODE": ""}).seconds for _ in range(7)) < 0.1


def test_importing_the_package_imports_no_library() -> None:
    code = "import sys, personaplex_provision; print(sorted(set(sys.modules) & {'paramiko', 'networkx', 'jinja2'}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
