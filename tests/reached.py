"""Which lines of the agent are reached where it really runs: in processes of its own, on lab hosts, as other users.

Coverage sees only the process of the tests. With PROVISION_COVERAGE set, every agent that is started carries a few
lines of tracing in its first module; when it ends, or a fault kills it, it leaves what it reached in shared memory,
and that is added to the coverage of the tests. The agent is the same otherwise: the lines keep their numbers.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import defaultdict
from pathlib import Path

import pytest
from coverage import CoverageData

from personaplex_provision.executors import bundle
from tests.lab.machine import Machine

START = "personaplex_provision.agent.start"
FIRST = b"from __future__ import annotations\n"
MEMORY = Path("/dev/shm")
"There on every host, writable for every user, and no part of what the lab compares."

TRACING = """
def watch(place, agent):
    import atexit, json, os, sys, threading
    reached = {}
    def line(frame, event, argument):
        if event == "line":
            reached[frame.f_code.co_filename, frame.f_lineno] = True
        return line
    def call(frame, event, argument):
        return line if frame.f_code.co_filename.startswith(agent) else None
    def leave():
        files = {}
        for file, number in list(reached.copy()):
            files.setdefault(file, []).append(number)
        try:
            if not os.path.isdir(place):
                os.mkdir(place)
                os.chmod(place, 0o1777)
            name = place + "/" + os.urandom(8).hex()
            with open(name + ".part", "w") as out:
                json.dump(files, out)
            os.rename(name + ".part", name)
        except OSError:
            pass
    def kill(process, number, really=os.kill):
        if process == os.getpid():
            leave()
        really(process, number)
    os.kill = kill
    atexit.register(leave)
    threading.settrace(call)
    sys.settrace(call)
    sys._getframe(2).f_trace = line
watch(PLACE, AGENT)
del watch
"""


ELSEWHERE = """
from personaplex_provision.executors import bundle
plain = bundle._sources
def sources():
    found = plain()
    package, text = found[START]
    return {**found, START: (package, text.replace(FIRST, TRACED))}
bundle._sources = sources
"""
"""Does the same in every `provision` that the tests start: Python runs a `sitecustomize` that it finds on its path."""


class Reached:
    """Makes agents leave what they reached, and collects it; `finish` hands it to coverage."""

    def __init__(self) -> None:
        self.place = MEMORY / f"provision-coverage-{os.urandom(8).hex()}"
        self.lines: dict[str, set[int]] = defaultdict(set)
        self.place.mkdir()
        self.place.chmod(0o1777)
        self._patch = pytest.MonkeyPatch()

    def start(self) -> None:
        """From here on agents are traced, and a lab host is asked before its power is cut."""
        plain, cut = bundle._sources, Machine.off
        code = TRACING.replace("PLACE", repr(str(self.place))).replace("AGENT", repr("personaplex_provision/agent"))
        traced = FIRST[:-1] + f"; exec(compile({code!r}, 'tracing', 'exec'))\n".encode()

        def sources() -> dict[str, tuple[bool, bytes]]:
            found = plain()
            package, text = found[START]
            assert text.count(FIRST) == 1
            return {**found, START: (package, text.replace(FIRST, traced))}

        site = self.place / "site.d"
        site.mkdir()
        elsewhere = ELSEWHERE.replace("START", repr(START)).replace("FIRST", repr(FIRST))
        elsewhere = elsewhere.replace("TRACED", repr(traced))
        (site / "sitecustomize.py").write_text(elsewhere)
        self._patch.setenv("PYTHONPATH", str(site))

        def off(machine: Machine) -> None:
            if machine._init:
                time.sleep(0.3)  # an agent that was hung up on may still be writing
                self.collect(Path(f"/proc/{machine._init}/root{self.place}"))
            cut(machine)

        self._patch.setattr(bundle, "_sources", sources)
        self._patch.setattr(Machine, "off", off)

    def collect(self, place: Path) -> None:
        """Takes over what agents left in a directory."""
        for path in place.glob("*"):
            if path.suffix:
                continue  # whoever was writing it is gone
            for file, numbers in json.loads(path.read_text()).items():
                self.lines[str(bundle.ROOT.parent / file)].update(numbers)
            path.unlink()

    def finish(self) -> None:
        """Writes a data file of its own beside coverage's, for `coverage combine`."""
        time.sleep(0.3)
        self.collect(self.place)
        shutil.rmtree(self.place)
        self._patch.undo()
        kept = {file: sorted(numbers) for file, numbers in self.lines.items() if os.path.exists(file)}
        data = CoverageData(f"{os.environ.get('COVERAGE_FILE', '.coverage')}.agents.{os.getpid()}")
        data.add_lines(kept)
        data.write()
