"""Figures: how many kills, playbooks and inputs a proof went through, a line each at the end of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

Figure = Callable[[str], None]
_LINES: pytest.StashKey[list[str]] = pytest.StashKey()


@pytest.fixture(scope="session")
def figure(pytestconfig: pytest.Config) -> Figure:
    """Takes a line that is shown when all tests are done."""
    return pytestconfig.stash.setdefault(_LINES, []).append


@pytest.fixture(scope="session")
def tried(figure: Figure) -> Iterator[dict[str, int]]:
    """How many spoilt inputs of each sort were tried."""
    found: dict[str, int] = {}
    yield found
    figure(f"fuzzed with {sum(found.values())} inputs: " + ", ".join(f"{found[one]} {one}" for one in sorted(found)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(_LINES, []):
        terminalreporter.write_line(f"proved: {line}")
