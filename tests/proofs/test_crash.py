"""Killed anywhere, and again while that is put right: every resource is old or new, and rollback restores all."""

from __future__ import annotations

import itertools
import os

import pytest

from tests.lab.fingerprint import difference
from tests.laws.case import Case
from tests.laws.collect import cases
from tests.proofs.chain import NEW, OLD, THIRD, Chain
from tests.proofs.conftest import Figure

pytestmark = pytest.mark.slow

EVERY = [one for one in cases() if not one.lab and one.kills and one.exact and one.changes]
LONG = ("pip", "pyenv_python", "virtualenv")
"Kinds whose steps last seconds: only a soak kills them here; each alone is killed in the laws."
FIRST = [
    next(one for one in EVERY if one.kind == kind)
    for kind in dict.fromkeys(one.kind for one in EVERY if one.kind not in LONG)
]
LAST = ("tls_certificate", "git", "rust_toolchain", *LONG)
"Kinds that run programs: at the end of the chain, only those runs carry them out that get so far."
SOAK = "PROVISION_CRASHES" in os.environ
SPREAD = 1 if SOAK else 11
"From one operation at which a recovery or a rollback is killed to the next."


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """One case of each kind; in a soak all of them."""
    chosen: list[Case] = sorted(EVERY if SOAK else FIRST, key=lambda one: one.kind in LAST)
    return Chain(tmp_path_factory.mktemp("chain"), chosen)


def in_order(states: list[str]) -> bool:
    """Whether the tasks up to some point are done and the others are not begun."""
    far = states.count(NEW)
    return states == [NEW] * far + [OLD] * (len(states) - far)


def test_killed_at_every_operation_of_a_playbook_nothing_is_in_a_third_state(chain: Chain, figure: Figure) -> None:
    cut: set[str] = set()
    for number in itertools.count(1):
        chain.begin()
        ended = chain.run(fault_at=number)
        assert chain.agents.recover()
        cut.update(chain.agents.hello["unfinished"])
        assert in_order(chain.states()), (number, chain.told())
        back = chain.agents.rollback()
        assert back["type"] == "rolled_back" and back["good"], (number, back)
        assert difference(chain.old, chain.look()) == [], f"killed at operation {number}"
        if ended:
            break
    assert cut == {one.name for one in chain.tasks}, "every step was cut off in its middle"
    figure(f"killed at each of {number - 1} operations of a playbook of {len(chain.tasks)} tasks")


def test_killed_while_recovering_it_recovers_the_next_time(chain: Chain, figure: Figure) -> None:
    kills = 0
    for number in itertools.count(1, SPREAD):
        for again in itertools.count(1):
            chain.begin()
            ended = chain.run(fault_at=number)
            recovered = chain.agents.recover(fault_at=again)
            assert chain.agents.recover()
            assert in_order(chain.states()), (number, again, chain.told())
            assert chain.agents.rollback()["good"]
            assert difference(chain.old, chain.look()) == [], f"killed at {number}, and at {again} of the recovery"
            if recovered:
                break
            kills += 1
        if ended:
            break
    figure(f"killed {kills} times while recovering from having been killed")


def test_killed_in_a_rollback_it_is_taken_back_the_next_time(chain: Chain, figure: Figure) -> None:
    chain.done()
    run = chain.agents.runs()[0]["run"]
    kills = 0
    for number in itertools.count(1, SPREAD):
        chain.done()
        back = chain.agents.rollback(fault_at=number)
        chain.agents.recover()
        assert THIRD not in chain.states(), (number, chain.told())
        again = chain.agents.rollback(run=run)
        assert again["type"] == "rolled_back" and again["good"], (number, again, chain.agents.events)
        assert difference(chain.old, chain.look()) == [], f"killed at operation {number}"
        if back["type"] != "killed":
            break
        kills += 1
    figure(f"killed at {kills} operations of a rollback")
