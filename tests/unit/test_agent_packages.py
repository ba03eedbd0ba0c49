"""dpkg's packages: one asked for by name is what reading all of them gives."""

from __future__ import annotations

import pytest

from personaplex_provision.agent import packages
from personaplex_provision.agent.packages import Package, Packages

NATIVE = packages._native()
TEXT = f"""\
Package: zlib1g
Status: install ok installed
Architecture: i386
Multi-Arch: same
Version: 1:1.2.13
Description: a library
 that is unpacked

Package: zlib1g
Status: hold ok installed
Architecture: {NATIVE}
Version: 1:1.2.14

Package: zlib1g-dev
Status: deinstall ok config-files
Architecture: {NATIVE}
Version: 2

Package: libc6
Status: install ok installed
Architecture: {NATIVE}
Version: 2.36

Package: libc6
Status: install ok half-configured
Architecture: i386
Version: 2.36

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2024a
"""


def test_a_package_by_name_is_the_one_of_this_architecture() -> None:
    found = Packages(TEXT)
    assert found["zlib1g"] == Package("zlib1g", "1:1.2.14", "installed", NATIVE)
    assert found["libc6:i386"] == Package("libc6", "2.36", "half-configured", "i386")
    assert found["tzdata"].version == "2024a"
    assert found.get("zlib") is None and "dev" not in found


@pytest.mark.parametrize("text", [TEXT, TEXT.rstrip("\n"), "", packages.read()._text.lstrip("\n")],
                         ids=["two architectures", "no newline at its end", "empty", "this machine"])
def test_one_by_one_they_are_what_all_together_are(text: str) -> None:
    everything = dict(Packages(text).items())
    one_by_one = Packages(text)
    assert {name: one_by_one[name] for name in everything} == everything
    assert len(one_by_one) == len(everything)


def test_what_a_plan_declares_comes_first() -> None:
    more = Package("new", "1", "installed", "all")
    found = Packages(TEXT).changed({"tzdata": None, "new": more, "libc6": more._replace(name="libc6")})
    assert found.get("tzdata") is None and found["new"] == more and found["libc6"].version == "1"
    assert set(found) == {"zlib1g", "zlib1g-dev", "libc6", "libc6:i386", "new"}


def test_a_word_in_a_description_is_no_status() -> None:
    assert not Packages(TEXT).any_is(["unpacked", "half-installed"])
    assert Packages(TEXT).any_is(["half-configured", "half-installed"])
