"""The same laws over SSH, on every Python that the agent supports: kinds that need root and a whole machine, and some
of those that do not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from personaplex_provision.executors.base import open_executor
from personaplex_provision.executors.connection import connection_of
from tests.lab.fingerprint import Fingerprint, Fingerprinter, difference
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.laws.case import Case
from tests.laws.collect import cases
from tests.laws.driver import Driver
from tests.laws.laws import Ground, hold, kill, name_of

pytestmark = [pytest.mark.lab, pytest.mark.slow]

FOLDER = "/srv/case"
LIKELY = ("/etc", "/home", "/root", "/srv", "/var/spool", "/usr/local")
"Where cases write; the whole host is compared before the first and after the last step of each."

LAB = [one for one in cases() if one.lab]
# What a Python version can make a difference to: text, dates, owners, programs. The first case of a kind shows it; the
# others run in test_laws.py, on the Python of bookworm.
KINDS = (
    "copy", "template", "lineinfile", "blockinfile", "replace", "ini_file", "cron", "authorized_key", "sysctl",
    "command", "shell", "script", "stat", "tls_certificate", "get_url",
)
FIRST = [next(one for one in cases() if one.kind == kind and not one.lab) for kind in KINDS]
FILES = [one for one in cases() if (one.kind, one.id) in (("file", "recurse"), ("file", "absent tree"))]
# These install packages, ten seconds each: all of them on one suite, one of each kind on the others.
SLOW = ("apt", "ufw", "cron")
SLOW_FIRST = [
    one for kind in SLOW for one in [case for case in LAB if case.kind == kind and case.exact and case.changes][:1]
]
CHANGING = [one for one in LAB if one.kind not in SLOW and one.changes]
OTHERS = [*CHANGING, *SLOW_FIRST, *FILES, *FIRST]
CHOSEN = {"bullseye": OTHERS, "trixie": OTHERS, "bookworm": LAB}
# A kill at any operation is proved for every file kind in test_laws.py. These recover something other than files.
KILLED = [
    next(one for one in LAB if one.kind == kind and one.changes and one.exact and one.kills)
    for kind in ("user", "systemd_service")
]


class Place:
    """One host for all cases: what a case leaves behind ends with a reset, which takes two seconds."""

    def __init__(self, host: LabHost, lab: Lab) -> None:
        self.host = host
        arguments = f"-F none -o IdentitiesOnly=yes -o UserKnownHostsFile={lab.access.known_hosts}"
        self.connection = connection_of(host.suite, {
            "ansible_host": host.address, "ansible_user": "root", "ansible_ssh_common_args": arguments,
            "ansible_ssh_private_key_file": str(lab.access.identity),
        })
        self._fingerprinter = Fingerprinter()
        self.fresh = self.glance()
        self.driver = Driver(self.connection, "/var/lib/provision", open_executor(self.connection))

    def ground(self) -> Ground:
        """The host as it was at first, with an empty scratch directory."""
        if difference(self.fresh, self.glance()):
            self.close()
            self.host.reset()
            self.driver.executor = open_executor(self.connection)
        os.mkdir(f"{self.host.root}{FOLDER}")

        def run(argv: list[str]) -> None:
            self.host.enter(argv)

        return Ground(self.driver, FOLDER, run, self.host.fingerprint, self.glance)

    def glance(self) -> Fingerprint:
        """What is where cases write, and the packages."""
        return self._fingerprinter.of(self.host.root, LIKELY)

    def clear(self) -> None:
        """Takes the scratch directory away."""
        shutil.rmtree(f"{self.host.root}{FOLDER}")

    def close(self) -> None:
        """Hangs up."""
        if self.driver.executor is not None:
            self.driver.executor.close()


@pytest.fixture(scope="module")
def places(lab: Lab) -> Iterator[Callable[[str], Place]]:
    """The host of a suite, one at a time; together they are Python 3.9, 3.11 and 3.13."""
    with ExitStack() as stack:
        now: list[Place] = []

        def at(suite: str) -> Place:
            if not now or now[0].host.suite != suite:
                stack.close()
                now[:] = [Place(stack.enter_context(lab.host(suite)), lab)]
                stack.callback(now[0].close)
            return now[0]

        yield at


@pytest.fixture
def ground(suite: str, places: Callable[[str], Place]) -> Iterator[Ground]:
    place = places(suite)
    yield place.ground()
    place.clear()


@pytest.mark.parametrize(
    ("suite", "case"),
    [pytest.param(suite, case, id=f"{suite}, {name_of(case)}") for suite in CHOSEN for case in CHOSEN[suite]],
)
def test_a_kind_keeps_the_laws_on_a_host(case: Case, ground: Ground) -> None:
    hold(case, ground)


@pytest.mark.parametrize("suite", ["bookworm"])
@pytest.mark.parametrize("case", KILLED, ids=name_of)
def test_killed_anywhere_on_a_host_it_is_old_or_new(case: Case, ground: Ground) -> None:
    ground.prepare(case)
    start, seen = ground.look(), set()
    for number in range(1, 100):
        killed = kill(case, ground, number)
        seen.add(killed.new)
        if killed.new:
            assert ground.driver.rollback()["good"]
        assert difference(start, ground.look()) == [], f"killed at operation {number}"
        if killed.ended:
            break
    else:
        pytest.fail("the case never came to its end")
    assert seen == {False, True}
