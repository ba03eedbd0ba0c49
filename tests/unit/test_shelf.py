"""Modules that are kept compiled in one file: the same as from their own, and only while those are as they were."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = 50
CODE = """
import importlib, sys
from personaplex_provision.cli.shelf import Loader, Shelf
shelf = Shelf()
shelf.use()
names = ["thing", "thing.inner", *(f"thing.m{number}" for number in range(COUNT))]
made = [importlib.import_module(one) for one in names]
kept = sum(isinstance(one.__spec__.loader, Loader) for one in made)
inner = made[1]
print(kept, inner.VALUE, inner.__file__, inner.__cached__ is not None, inner.__package__, *made[0].__path__, sep="|")
sys.modules.setdefault("paramiko", sys)
shelf.keep()
""".replace("COUNT", str(COUNT))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    package = tmp_path / "thing"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text("VALUE = 'first'\n")
    for number in range(COUNT):
        (package / f"m{number}.py").write_text(f"VALUE = {number}\n")
    return tmp_path


def start(place: Path, code: str = CODE) -> list[str]:
    """What a start says: how many modules were kept, and how one looks."""
    top = Path(__file__).parents[2]
    environment = {**os.environ, "XDG_CACHE_HOME": str(place / "cache"), "PYTHONPATH": f"{top}{os.pathsep}{place}"}
    (place / "cache/provision").mkdir(parents=True, exist_ok=True)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert not done.stderr
    return done.stdout.strip().split("|")


def shelf(place: Path) -> Path:
    (found,) = (place / "cache/provision").iterdir()
    return found


def test_kept_modules_are_the_same_as_those_from_their_files(place: Path) -> None:
    first, second = start(place), start(place)
    assert (int(first[0]), int(second[0])) == (0, COUNT + 2)
    assert first[1:] == second[1:] == ["first", str(place / "thing/inner.py"), "True", "thing", str(place / "thing")]
    assert shelf(place).stat().st_mode & 0o777 == 0o600


def test_a_module_that_was_written_to_is_imported_from_its_file(place: Path) -> None:
    start(place)
    (place / "thing/inner.py").write_text("VALUE = 'another'\n")
    assert start(place)[:2] == [str(COUNT + 1), "another"]


def test_what_others_could_have_written_is_not_run(place: Path) -> None:
    start(place)
    shelf(place).chmod(0o666)
    assert start(place)[0] == "0"


@pytest.mark.parametrize("damage", [lambda data: data[:-10], lambda _data: b"", lambda data: b"\0" * len(data)])
def test_a_damaged_file_is_passed_over_and_made_anew(place: Path, damage: object) -> None:
    start(place)
    assert callable(damage)
    shelf(place).write_bytes(damage(shelf(place).read_bytes()))
    assert [start(place)[0], start(place)[0]] == ["0", str(COUNT + 2)]


def test_another_path_has_a_file_of_its_own(place: Path) -> None:
    start(place)
    assert start(place, f"import sys; sys.path.append('/elsewhere')\n{CODE}")[0] == "0"


def test_a_module_that_cannot_be_read_any_more_is_imported_from_its_file(place: Path) -> None:
    start(place)
    cut = CODE.replace("shelf.use()", "shelf.use(); os.truncate(shelf.path, 1000)").replace("import ", "import os, ", 1)
    assert start(place, cut)[0] == str(COUNT + 2)
    assert start(place)[:2] == ["0", "first"]


def test_initializers_that_were_used_are_kept(place: Path) -> None:
    used = "from personaplex_provision.agent.record import dataclass\n@dataclass\nclass Used:\n    one: int\nUsed(1)\n"
    start(place, f"{CODE.replace('shelf.keep()', '')}{used}shelf.keep()")
    told = "from personaplex_provision.agent.initializers import KNOWN\nprint(type(next(iter(KNOWN.values()))), end='')"
    asked = f"from personaplex_provision.cli.shelf import Shelf\nShelf().use()\n{told}"
    assert start(place, asked) == ["<class 'bytes'>"]
