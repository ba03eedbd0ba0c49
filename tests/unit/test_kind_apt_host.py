"""What the package kinds ask of the host before they change anything: locks, lists, files, what belongs to whom."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources import _apt_command as command
from personaplex_provision.agent.resources import _deb, _repack, _survey
from personaplex_provision.agent.resources._apt_image import AptImage, marks
from tests.unit.kind_host import Life
from tests.unit.loopback import serve

HOLD = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path, {"PATH": os.environ["PATH"]})


def test_whoever_holds_the_lock_is_named_and_waited_for(life: Life, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    assert command.lock_holder(str(lock)) is None
    assert command.lock_holder(str(tmp_path / "none")) is None
    with subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(ResourceError) as caught:
            command.wait_for_lock(life.host(), [str(lock)], 0.6)
        assert f"(process {holder.pid})" in caught.value.summary
        assert any("waiting" in str(fields) for _, fields in life.events)
        holder.kill()
    command.wait_for_lock(life.host(), [str(lock)], 0.0)
    with open(lock, "w") as own:
        fcntl.lockf(own, fcntl.LOCK_EX)
        assert command.lock_holder(str(lock)) is None, "what this process itself holds is no obstacle"


def test_options_for_dpkg_become_arguments_of_apt() -> None:
    assert command.dpkg_options("force-confdef,--force-confold,") == [
        "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"]


def test_lists_are_fetched_when_a_source_is_newer_or_they_are_old(life: Life) -> None:
    host = life.planning()
    host.write(f"{command.LISTS}/a_Packages", b"")
    source = f"{command.SOURCES[1]}/new.list"
    host.write(source, b"deb http://a b c\n")
    assert "sources were changed" in command.stale_lists(host, False, 0)
    assert source in command._sources(host)


def test_a_deb_at_an_address_is_known_by_its_name_and_once_fetched_by_its_content(life: Life) -> None:
    host = life.host()
    assert _deb.contents(host, "https://a/b/tool_1%3a2.0-1_amd64.deb") == ("tool", "1:2.0-1")
    assert _deb.contents(host, "https://a/b/latest.deb") is None
    with serve() as site:
        site.pages["/x.deb"] = b"not a package"
        path = _deb.fetch(host, f"{site.url}/x.deb")
        assert Path(path).read_bytes() == b"not a package"
        assert _deb.fetch(host, f"{site.url}/x.deb") == path
        with pytest.raises(ResourceError, match="could not be fetched"):
            _deb.fetch(host, f"{site.url}/none.deb")


def test_a_survey_sees_what_changed_by_how_it_looks(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    assert _survey.look(str(file)) == []
    file.write_text("a")
    link.symlink_to("file")
    before = _survey.look(str(file))
    assert before[3] == 1 and _survey.look(str(link))[3] == "file"
    time.sleep(0.01)
    file.write_text("b")
    assert _survey.look(str(file)) != before
    assert dict(_survey._inside(str(tmp_path))).keys() == {str(file), str(link)}
    assert list(_survey._inside(str(tmp_path / "none"))) == []


def test_paths_of_packages_are_read_from_dpkgs_lists(tmp_path: Path) -> None:
    (tmp_path / "a.list").write_text("/.\n/etc/a\n/usr/bin/a\n")
    (tmp_path / "a.md5sums").write_text("x\n")
    owned = _survey.owned_paths(str(tmp_path))
    assert {"/etc/a", "/usr/bin/a"} <= owned and "x" not in owned


def test_what_continues_a_field_stays_with_it() -> None:
    assert _repack._fields("A: 1\n two\n\tthree\nB: 2") == ["A: 1\n two\n\tthree", "B: 2"]


def test_the_notes_of_apt_are_read_by_package(life: Life) -> None:
    host = life.planning()
    host.write("/var/lib/apt/extended_states", b"Package: a\nArchitecture: amd64\nAuto-Installed: 1\n\n")
    assert marks(host) == {"a/amd64": "Package: a\nArchitecture: amd64\nAuto-Installed: 1"}


def test_an_image_that_was_not_finished_does_not_count(life: Life) -> None:
    image = AptImage(life.host(), "one")
    assert not image.exists() and image.debs() == {} and image.file("/etc/hosts") is None
    life.store.directory("apt", "images", "one", "debs")
    (Path(image.folder) / "debs" / "a_1%3a2_all.deb").touch()
    assert image.debs() == {"a_1:2": f"{image.folder}/debs/a_1%3a2_all.deb"}
    image._write("before", {"packages": {}})
    assert image.exists() and image.before() == {"packages": {}}
    image.discard()
    assert not image.exists()
