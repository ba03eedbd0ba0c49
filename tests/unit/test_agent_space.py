"""The room a plan takes: added up by file system, images included, and refused where there is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from personaplex_provision.agent.space import Space, free, human, shortage
from tests.unit.kind_host import Life

KB4 = 4096


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path, {"PATH": os.environ["PATH"]})


def test_what_is_replaced_is_freed_only_after_what_replaces_it_is_there(tmp_path: Path) -> None:
    space, root = Space(), str(tmp_path)
    for _ in range(10):
        space.image(root, KB4)
        space.write(root, KB4, frees=KB4)
    [row] = space.report()
    assert row["needed"] == 11 * KB4 and row["images"] == 10 * KB4 and row["free"] == free(row["mount"])


def test_small_files_take_whole_blocks(tmp_path: Path) -> None:
    space = Space()
    for number in range(50):
        space.write(str(tmp_path / "not there yet" / str(number)), 1)
    assert space.report()[0]["needed"] == 50 * KB4


def test_trees_kept_by_links_or_renames_take_nothing_and_copies_what_they_hold(tmp_path: Path) -> None:
    tree = tmp_path / "tree/deep"
    tree.mkdir(parents=True)
    (tree / "file").write_bytes(bytes(3 * KB4))
    (tree / "link").symlink_to("file")
    space = Space()
    assert space.keep(str(tmp_path), str(tmp_path / "tree"), whole=True, link=True) == 0
    assert space.report() == []
    elsewhere = "/dev/shm"
    assert Space().keep(elsewhere, str(tmp_path / "tree"), whole=True, link=True) == 3 * KB4
    assert Space().keep(str(tmp_path), str(tmp_path / "tree"), whole=True) == 3 * KB4
    assert Space().keep(str(tmp_path), str(tmp_path / "tree")) == 0, "a directory's own mode takes no room"
    assert Space().keep(str(tmp_path), str(tmp_path / "none"), whole=True) == 0


def test_a_path_that_several_tasks_change_is_kept_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(KB4))
    space = Space()
    assert space.keep(str(tmp_path), str(tmp_path / "file")) == KB4
    assert space.keep(str(tmp_path), str(tmp_path / "file")) == 0
    assert space.report()[0]["images"] == KB4


def test_a_shortage_names_the_file_system_and_how_much_is_missing() -> None:
    rows = [
        {"mount": "/", "needed": 1_200_000_000, "images": 300_000_000, "free": 80_000_000_000},
        {"mount": "/srv", "needed": 2_000_000, "images": 0, "free": 500_000},
    ]
    assert shortage(rows[:1]) == {} and shortage([]) == {}
    found = shortage(rows)
    assert "/srv" in found["summary"] and "on /," not in found["summary"]
    assert "needs 2.0 MB" in found["detail"] and "1.5 MB are missing" in found["detail"] and "df -h" in found["hint"]


def test_sizes_are_written_as_apt_writes_them() -> None:
    sizes = [human(one) for one in (0, 12, 4096, 34_100_000, 1_200_000_000)]
    assert sizes == ["0 B", "12 B", "4.1 kB", "34 MB", "1.2 GB"]


def test_planning_counts_what_a_task_writes_and_keeps(life: Life, tmp_path: Path) -> None:
    host = life.planning()
    assert host.prediction.room() == [], "nothing is asked where nothing is pending"
    old = Path(tmp_path / "old")
    old.write_bytes(bytes(2 * KB4))
    host.write(str(old), b"new")
    host.write(str(tmp_path / "other"), bytes(KB4 + 1))
    [row] = host.prediction.room()
    assert row["images"] == 2 * KB4 and "open" not in row
    assert row["needed"] == 2 * KB4 + KB4, "the old content is freed before the other file comes"
    host.opaque(str(tmp_path / "tree"))
    assert host.prediction.room()[0]["open"]
