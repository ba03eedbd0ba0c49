"""Fixtures: a lab for the whole test run, and hosts of it that are fresh for each test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.lab.host import LabHost
from tests.lab.lab import Lab, missing


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A network and the stand-ins. Where no lab can be built the test is skipped; in CI that is a failure."""
    reason = missing()
    if reason:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must run the lab tests: {reason}")
        pytest.skip(reason)
    with Lab() as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def reached() -> Iterator[None]:
    """What agents reach in processes of their own counts too, when `make coverage` asks."""
    if "PROVISION_COVERAGE" not in os.environ:
        yield
        return
    from tests.reached import Reached

    here = Reached()
    here.start()
    yield
    here.finish()


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs on this machine are recorded in a directory of the test's own, root or not."""
    state = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    monkeypatch.setenv("PROVISION_STATE_DIR", str(state / "target"))


@pytest.fixture
def lab_host_for(lab: Lab) -> Iterator[Callable[[str], LabHost]]:
    """A function that gives a fresh, started host of a suite; call it as often as hosts are needed."""
    with ExitStack() as stack:

        def fresh(suite: str = "bookworm") -> LabHost:
            return stack.enter_context(lab.host(suite))

        yield fresh


@pytest.fixture
def lab_host(lab_host_for: Callable[[str], LabHost]) -> LabHost:
    """A fresh, started Debian 12 host."""
    return lab_host_for("bookworm")
