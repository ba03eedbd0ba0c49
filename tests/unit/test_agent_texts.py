"""The texts that a run leaves: found again by their digest, whatever became of those around them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.agent.look import look
from personaplex_provision.agent.step import text_diff
from personaplex_provision.agent.store import Store
from personaplex_provision.agent.texts import LIMIT, Texts

RUN = "20260101T000000000-aaaa"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = Store(str(tmp_path / "state"))
    found.directory("runs", RUN)
    return found


def keep(texts: Texts, path: Path, data: bytes, clean: Any = lambda text: text) -> str:
    """Writes a file and keeps what is in it; returns its digest."""
    path.write_bytes(data)
    texts.keep({str(path): [look(str(path)), False]}, clean)
    return hashlib.sha256(data).hexdigest()


def test_every_text_of_a_run_is_found_again(store: Store, tmp_path: Path) -> None:
    texts = Texts(store, RUN)
    names = {keep(texts, tmp_path / "a", one.encode()): one for one in ("one\n", "", "two\nlines", "ö\n", "one\n")}
    again = Texts(store, RUN)
    assert {name: again.kept(name) for name in names} == names
    assert again.kept("0" * 64) is None


def test_the_same_text_is_kept_once(store: Store, tmp_path: Path) -> None:
    texts = Texts(store, RUN)
    for name in ("a", "b", "c"):
        keep(texts, tmp_path / name, b"the same")
    assert Path(store.path("runs", RUN, "texts")).read_bytes().count(b"the same") == 1


@pytest.mark.parametrize("data", [b"\0", b"\xff", b"x" * (LIMIT + 1)])
def test_what_is_no_small_text_is_not_kept(store: Store, tmp_path: Path, data: bytes) -> None:
    assert Texts(store, RUN).kept(keep(Texts(store, RUN), tmp_path / "a", data)) is None


def test_a_text_with_a_secret_is_not_kept(store: Store, tmp_path: Path) -> None:
    name = keep(Texts(store, RUN), tmp_path / "a", b"hunter2", lambda text: text.replace("hunter2", "(secret)"))
    assert Texts(store, RUN).kept(name) is None
    assert not Path(store.path("runs", RUN, "texts")).exists()


def test_a_torn_end_takes_only_itself(store: Store, tmp_path: Path) -> None:
    texts = Texts(store, RUN)
    first, last = keep(texts, tmp_path / "a", b"first\n"), keep(texts, tmp_path / "b", b"the last\n")
    path = Path(store.path("runs", RUN, "texts"))
    whole = path.read_bytes()
    for cut in range(2, len(last) + len("the last\n") + 4):
        path.write_bytes(whole[:-cut])
        assert [Texts(store, RUN).kept(one) for one in (first, last)] == ["first\n", None]


def test_texts_of_earlier_versions_are_found_in_their_files(store: Store) -> None:
    name = hashlib.sha256(b"long ago").hexdigest()
    Path(store.directory("runs", RUN, "blobs"), name).write_text("long ago")
    assert Texts(store, RUN).kept(name) == "long ago"


@pytest.mark.parametrize(("before", "after", "shown"), [
    ("", "a\n", "@@ -0,0 +1 @@\n+a"), ("", "a\nb", "@@ -0,0 +1,2 @@\n+a\n+b"),
    ("a\nb\n", "", "@@ -1,2 +0,0 @@\n-a\n-b"),
    ("a\n", "b\n", "@@ -1 +1 @@\n-a\n+b"), ("", "", ""),
])
def test_a_text_that_comes_or_goes_is_shown_as_any_other(before: str, after: str, shown: str) -> None:
    assert text_diff(before, after) == shown
