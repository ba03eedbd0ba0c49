"""unarchive: what is unpacked, what is refused, what is noticed."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from personaplex_provision.agent.look import look
from personaplex_provision.agent.resource import ResourceError, Unpredictable
from personaplex_provision.agent.resources.unarchive import Unarchive
from personaplex_provision.agent.values import Blob
from tests.unit.kind_host import Life
from tests.unit.loopback import serve

_TYPES = {
    "file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE,
    "pipe": tarfile.FIFOTYPE,
}


def packed(path: Path, *members: tuple[str, str, str, int], compression: str = "gz") -> Path:
    """A tar archive of (name, type, content or target, mode)."""
    with tarfile.open(path, f"w:{compression}") as file:  # type: ignore[call-overload]
        for name, kind, data, mode in members:
            info = tarfile.TarInfo(name)
            info.mode, info.mtime = mode, 1_600_000_000
            info.type = _TYPES[kind]
            if kind in ("link", "hard"):
                info.linkname = data
            info.size = len(data) if kind == "file" else 0
            file.addfile(info, io.BytesIO(data.encode()))
    return path


_USUAL = (
    ("app/", "dir", "", 0o750), ("app/run", "file", "#!/bin/sh\n", 0o755), ("app/lib/a", "file", "a", 0o640),
    ("app/b", "link", "lib/a", 0o777), ("app/c", "hard", "app/lib/a", 0o640),
)


@pytest.mark.parametrize("compression", ["", "gz", "bz2", "xz"])
def test_members_keep_their_modes_and_come_back_out(tmp_path: Path, compression: str) -> None:
    archive = packed(tmp_path / "a", *_USUAL, compression=compression)
    life, task = Life(tmp_path), Unarchive(str(tmp_path / "d"), str(archive), remote_src=True)
    assert life.plan(task) == "create"
    life.apply(task)
    top = tmp_path / "d/app"
    assert (top.stat().st_mode & 0o777, (top / "run").stat().st_mode & 0o777) == (0o750, 0o755)
    assert os.readlink(top / "b") == "lib/a"
    assert (top / "c").read_text() == "a"
    assert (top / "run").stat().st_mtime == 1_600_000_000
    assert life.check(task) == []
    life.back()
    assert sorted(os.listdir(tmp_path)) in (["a"], ["a", "state"])


def test_what_differs_is_put_right_and_the_rest_is_left(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a", *_USUAL)
    life, task = Life(tmp_path), Unarchive(str(tmp_path / "d"), str(archive), remote_src=True, strip_components=1)
    life.apply(task)
    (tmp_path / "d/run").write_text("broken")
    (tmp_path / "d/mine").write_text("mine")
    (tmp_path / "d/b").unlink()
    before = look(str(tmp_path / "d"), whole=True)
    found = life.apply(task)
    assert found.changes[0].before == ["run", "b"]
    assert (tmp_path / "d/run").read_text() == "#!/bin/sh\n"
    assert (tmp_path / "d/mine").read_text() == "mine"
    life.back()
    assert look(str(tmp_path / "d"), whole=True) == before


def test_a_zip_and_an_archive_from_the_controller(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z", "w") as file:
        file.writestr("x/y.txt", "y")
        info = zipfile.ZipInfo("x/run")
        info.external_attr = 0o100755 << 16
        file.writestr(info, "#!/bin/sh\n")
    life = Life(tmp_path)
    sha256, size = life.store.put((tmp_path / "z").read_bytes())
    task = Unarchive(str(tmp_path / "d"), content=Blob(sha256, size), exclude=["*.txt"], mode="u=rwX,g=rX,o=")
    life.apply(task)
    assert os.listdir(tmp_path / "d/x") == ["run"]
    assert (tmp_path / "d/x/run").stat().st_mode & 0o777 == 0o750
    assert life.check(task) == []


@pytest.mark.parametrize("members", [
    [("../out", "file", "x", 0o644)], [("/abs", "file", "x", 0o644)], [("a/../../out", "file", "x", 0o644)],
    [("l", "link", "/etc", 0o777), ("l/passwd", "file", "x", 0o644)], [("l", "link", "../..", 0o777)],
    [("d/l", "link", "..", 0o777), ("d/l/out", "file", "x", 0o644)], [("p", "pipe", "", 0o644)],
])
def test_what_reaches_outside_is_refused_before_anything_is_written(
    tmp_path: Path, members: list[tuple[str, str, str, int]],
) -> None:
    archive = packed(tmp_path / "a", ("fine", "file", "x", 0o644), *members)
    with pytest.raises(ResourceError):
        Life(tmp_path).apply(Unarchive(str(tmp_path / "d"), str(archive), remote_src=True))
    assert not (tmp_path / "d").exists()
    assert not (tmp_path / "out").exists()


def test_set_id_bits_are_not_taken_from_an_archive(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a", ("sudo", "file", "x", 0o4755))
    Life(tmp_path).apply(Unarchive(str(tmp_path / "d"), str(archive), remote_src=True))
    assert (tmp_path / "d/sudo").stat().st_mode & 0o7777 == 0o755


def test_creates_tells_that_nothing_is_left_to_do(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/done").touch()
    task = Unarchive(str(tmp_path / "d"), "/no/such/archive", remote_src=True, creates="done")
    assert Life(tmp_path).check(task) == []


def test_an_archive_that_is_none_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"nothing")
    with pytest.raises(ResourceError, match="no tar or zip archive"):
        Life(tmp_path).apply(Unarchive(str(tmp_path / "d"), str(tmp_path / "a"), remote_src=True))
    whole = packed(tmp_path / "b", ("f", "file", "x" * 100_000, 0o644)).read_bytes()
    (tmp_path / "b").write_bytes(whole[:-40])
    with pytest.raises(ResourceError, match="broken"):
        Life(tmp_path).apply(Unarchive(str(tmp_path / "d"), str(tmp_path / "b"), remote_src=True))
    assert not (tmp_path / "d").exists()


def test_an_address_is_fetched_once(tmp_path: Path) -> None:
    data = packed(tmp_path / "a", *_USUAL).read_bytes()
    with serve() as site:
        site.pages["/a.tgz"] = data
        life, task = Life(tmp_path), Unarchive(str(tmp_path / "d"), f"{site.url}/a.tgz", remote_src=True)
        assert life.plan(task) == "create"
        assert site.asked == []
        life.apply(task)
        assert life.check(task) == []
        assert [one.headers.get("range") for one in site.asked] == [None, f"bytes={len(data)}-", f"bytes={len(data)}-"]


def test_an_archive_that_is_yet_to_come_is_planned(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.planning("the download").write(str(tmp_path / "a.tgz"), iter(()))
    task = Unarchive(str(tmp_path / "d"), str(tmp_path / "a.tgz"), remote_src=True)
    assert life.plan(task) == "create"
    (tmp_path / "e").mkdir()
    with pytest.raises(Unpredictable, match="the download"):
        life.plan(Unarchive(str(tmp_path / "e"), str(tmp_path / "a.tgz"), remote_src=True))


def test_options_of_tar_that_have_a_meaning_here() -> None:
    task = Unarchive("/d", "/a", remote_src=True, extra_opts=["--strip-components=1", "--transform=s/a/b/"])
    assert [one for one in task.validate() if "--transform" in one]
    assert not [one for one in task.validate() if "--strip" in one]
