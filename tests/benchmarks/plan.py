"""A plan over SSH beside the bare connection, on one lab host."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import bare, workload
from tests.benchmarks.timing import Times, measure, once
from tests.lab.host import LabHost
from tests.lab.lab import Lab

LIMIT = 2.0
"What a plan of resources that are in state may cost, in bare connections."


class Bench:
    """A host that is in the state of the workload, and the two commands."""

    def __init__(self, lab: Lab, host: LabHost, folder: Path) -> None:
        program = shutil.which("provision", path=str(Path(sys.executable).parent)) or "provision"
        playbook = str(workload.write(folder / "playbook"))
        inventory = str(lab.inventory([host]))
        # Where byte code must not be written, every run would compile our own modules anew, and only ours.
        self.environment = {
            "XDG_STATE_HOME": str(folder / "state"), "XDG_CACHE_HOME": str(folder / "cache"),
            "PYTHONDONTWRITEBYTECODE": "",
        }
        self.plan = [program, "plan", "--detailed-exitcode", "-i", inventory, playbook]
        "Exits with 2, and so fails to be measured, when anything is not in state."
        self.bare = [sys.executable, bare.__file__, host.address, str(lab.access.identity), str(lab.access.known_hosts)]
        once([program, "apply", "-y", "-i", inventory, playbook], self.environment)

    def run(self, rounds: int) -> list[Times]:
        """Both, in turn."""
        return measure({"plan of 184": self.plan, "bare": self.bare}, rounds, self.environment)


@contextlib.contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """A lab of its own for a benchmark."""
    with Lab() as lab, lab.host("bookworm") as host:
        yield Bench(lab, host, folder)
