"""Modules of the standard library that are imported when they are used."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
from personaplex_provision.agent.start import Later, put_off
put_off(["colorsys", "wave"])
import colorsys, wave
assert type(sys.modules["colorsys"]) is Later
assert colorsys.rgb_to_hsv(1, 0, 0) == (0.0, 1.0, 1.0)
assert type(sys.modules["colorsys"]) is not Later and type(sys.modules["wave"]) is Later
from wave import open as opened
assert opened is sys.modules["wave"].open
try:
    colorsys.nothing
except AttributeError as error:
    print(error)
put_off(["colorsys"])
assert type(sys.modules["colorsys"]) is not Later
"""


def test_a_module_that_was_put_off_is_the_same_when_it_is_used() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "module 'colorsys' has no attribute 'nothing'\n"), done.stderr
