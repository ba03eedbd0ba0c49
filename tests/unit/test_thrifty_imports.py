"""Libraries that are imported in part: by many threads at once, and without anybody else noticing."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import types
from typing import Any

import pytest

from personaplex_provision.language.patterns_later import Pattern, patterns_later

CROWD = """
import sys, threading
from personaplex_provision.agent.start import put_off
put_off(["inspect"])
{imported}
barrier, found = threading.Barrier(12), []
def one():
    barrier.wait()
    try:
        found.append({call})
    except BaseException as error:
        found.append(error)
threads = [threading.Thread(target=one) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(found) == 12 and all(one is found[0] for one in found), found
assert not isinstance(found[0], BaseException), found[0]
assert {after}
"""


@pytest.mark.parametrize(("imported", "call", "after"), [
    ("from personaplex_provision.executors.sshlibrary import paramiko_library", "paramiko_library()",
     "'signature' not in vars(sys.modules['inspect']) and 'invoke' not in sys.modules"),
    ("from personaplex_provision.planning.core import core", "core()", "'pydantic_core' not in sys.modules"),
])
def test_many_threads_may_need_a_library_first(imported: str, call: str, after: str) -> None:
    text = CROWD.format(imported=imported, call=call, after=after)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _elsewhere(ask: Any) -> Any:
    """What another thread gets."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(ask()))
    thread.start()
    thread.join()
    return found[0]


def test_only_the_library_gets_patterns_that_are_compiled_later() -> None:
    with patterns_later():
        stand: Any = sys.modules["re"]
        mine, theirs = stand.compile("a+"), _elsewhere(lambda: stand.compile("a+"))
    assert isinstance(mine, Pattern) and mine.match("aab").group() == "aa" and mine.pattern == "a+"
    assert isinstance(theirs, re.Pattern) and stand.match(theirs, "aab")
    assert sys.modules["re"] is re and isinstance(re, types.ModuleType)
    assert isinstance(stand.compile("b"), re.Pattern), "what the library compiles while it works is not put off"
