"""Images of paths: whatever was there is there again, and a later change is noticed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from personaplex_provision.agent import image as images
from personaplex_provision.agent.look import look
from personaplex_provision.agent.store import Store
from tests.lab.fingerprint import Fingerprinter, difference


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "state"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


def nothing(path: Path) -> None:
    del path


def file(path: Path) -> None:
    path.write_text("as it was\n")
    path.chmod(0o640)


def link(path: Path) -> None:
    path.symlink_to("nowhere")


def tree(path: Path) -> None:
    (path / "deep").mkdir(parents=True)
    (path / "deep/file").write_text("inside\n")
    (path / "deep/file").chmod(0o600)
    (path / "link").symlink_to("deep/file")
    path.chmod(0o750)


def clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


THINGS = (nothing, file, link, tree)


@pytest.mark.parametrize("before", THINGS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("after", THINGS, ids=lambda one: one.__name__)
def test_whatever_took_its_place_the_thing_is_there_again(
    before: Callable[[Path], None], after: Callable[[Path], None], store: Store, place: Path
) -> None:
    path = place / "thing"
    before(path)
    start = Fingerprinter().of(place)
    image = images.capture(str(path), store, whole=True)
    clear(path)
    after(path)
    assert images.restore(image, store) == ""
    assert difference(start, Fingerprinter().of(place)) == []
    assert images.restore(image, store) == "", "restoring twice is as good as once"
    assert difference(start, Fingerprinter().of(place)) == []


def test_a_file_gets_its_mode_and_time_back(store: Store, place: Path) -> None:
    path = place / "f"
    file(path)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    image = images.capture(str(path), store)
    path.write_text("another")
    path.chmod(0o777)
    images.restore(image, store)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("as it was\n", 0o640)
    assert path.stat().st_mtime == 1_000_000_000


def test_a_directory_taken_alone_keeps_what_others_put_into_it(store: Store, place: Path) -> None:
    path = place / "d"
    image = images.capture(str(path), store)
    path.mkdir()
    (path / "theirs").touch()
    assert images.restore(image, store) == f"{path} stays: it holds theirs, which this run did not make"
    assert (path / "theirs").exists()


def test_a_directory_gets_its_mode_back_and_keeps_its_files(store: Store, place: Path) -> None:
    path = place / "d"
    tree(path)
    image = images.capture(str(path), store)
    path.chmod(0o777)
    (path / "more").touch()
    assert images.restore(image, store) == ""
    assert path.stat().st_mode & 0o777 == 0o750 and (path / "more").exists()


def test_what_is_no_file_is_left_alone_and_told(store: Store, place: Path) -> None:
    path = place / "fifo"
    os.mkfifo(path)
    image = images.capture(str(path), store)
    assert "left as it is" in images.restore(image, store)
    assert path.is_fifo()


def test_a_path_below_a_file_is_absent(store: Store, place: Path) -> None:
    file(place / "f")
    assert images.capture(str(place / "f/below"), store)["type"] == "absent"
    assert look(str(place / "f/below")) == {"type": "absent"}


def test_a_tree_kept_by_links_survives_the_replacing_of_its_files(store: Store, place: Path) -> None:
    path = place / "d"
    tree(path)
    image = images.capture(str(path), store, whole=True, link=True)
    new = place / "new"
    new.write_text("changed\n")
    new.replace(path / "deep/file")
    images.restore(image, store)
    assert (path / "deep/file").read_text() == "inside\n"


def change_content(path: Path) -> None:
    (path / "deep/file").write_text("longer than before\n")


def change_mode(path: Path) -> None:
    (path / "deep/file").chmod(0o644)


def add(path: Path) -> None:
    (path / "deep/new").touch()


def remove(path: Path) -> None:
    (path / "link").unlink()


@pytest.mark.parametrize("change", [change_content, change_mode, add, remove], ids=lambda one: one.__name__)
def test_the_mark_of_a_tree_tells_every_change(change: Callable[[Path], None], place: Path) -> None:
    path = place / "d"
    tree(path)
    before = look(str(path), whole=True)["content"]
    assert look(str(path), whole=True)["content"] == before
    change(path)
    assert look(str(path), whole=True)["content"] != before


def test_the_mark_of_a_tree_passes_over_what_python_compiles(place: Path) -> None:
    path = place / "d"
    tree(path)
    before = look(str(path), whole=True)["content"]
    (path / "deep/__pycache__").mkdir()
    (path / "deep/__pycache__/a.pyc").touch()
    assert look(str(path), whole=True)["content"] == before


def test_the_mark_of_a_link_is_its_target(place: Path) -> None:
    path = place / "l"
    path.symlink_to("a")
    before = look(str(path))["content"]
    path.unlink()
    path.symlink_to("b")
    assert look(str(path))["content"] != before


def test_a_change_of_mode_alone_copies_no_content(store: Store, place: Path) -> None:
    path = place / "big"
    path.write_bytes(bytes(100_000))
    path.chmod(0o640)
    image = images.capture(str(path), store, content=False)
    assert not os.path.exists(store.path("blobs")) or os.listdir(store.path("blobs")) == []
    path.chmod(0o777)
    assert images.restore(image, store) == ""
    assert path.stat().st_mode & 0o7777 == 0o640
    path.write_bytes(b"of someone else")
    path.chmod(0o777)
    assert "holds something else since" in images.restore(image, store)
    assert path.read_bytes() == b"of someone else" and path.stat().st_mode & 0o7777 == 0o640


def test_a_tree_comes_back_by_links_and_takes_no_room(store: Store, place: Path) -> None:
    path = place / "thing"
    tree(path)
    (path / "deep/same").hardlink_to(path / "deep/file")
    os.mkfifo(path / "pipe")
    start = Fingerprinter().of(place)
    image = images.capture(str(path), store, whole=True, link=True)
    kept = os.stat(os.path.join(image["aside"], "deep/file"))
    clear(path)
    assert images.restore(image, store) == ""
    found = (path / "deep/file").stat()
    assert (found.st_ino, found.st_mtime_ns) == (kept.st_ino, kept.st_mtime_ns)
    assert (path / "deep/same").stat().st_ino == found.st_ino, "hard links inside stay hard links"
    assert difference(start, Fingerprinter().of(place)) == []


def test_a_tree_on_another_file_system_is_copied(tmp_path: Path, place: Path) -> None:
    elsewhere = Path("/dev/shm") / tmp_path.name
    try:
        store = Store(str(elsewhere))
        path = place / "thing"
        tree(path)
        os.mkfifo(path / "pipe")
        start = Fingerprinter().of(place)
        image = images.capture(str(path), store, whole=True, link=True)
        assert os.stat(image["aside"]).st_dev != place.stat().st_dev
        clear(path)
        assert images.restore(image, store) == ""
        assert difference(start, Fingerprinter().of(place)) == []
    finally:
        shutil.rmtree(elsewhere, ignore_errors=True)
