"""Old runs are dropped on request: with what is lost shown before, by age, number or size, here and on the hosts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from personaplex_provision.cli.main import main
from tests.flows.conftest import Bench
from tests.unit.loopback import serve

pytestmark = pytest.mark.slow


def three_runs(bench: Bench) -> list[str]:
    for text in ("1", "2", "3"):
        bench.tasks(f"""
tasks:
  - name: file
    copy: {{dest: "{{{{ place }}}}/file", content: "{text}\\n"}}
""")
        assert bench.apply() == 0
    assert bench.run("runs") == 0
    return [one["run"] for one in bench.events[-1]["localhost"]]


def records() -> list[str]:
    return sorted(one.stem for one in Path(os.environ["XDG_STATE_HOME"], "provision/runs").glob("*.json"))


def test_nothing_goes_without_a_yes_and_what_is_lost_is_said(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = three_runs(bench)
    assert main(["runs", "prune", "--keep", "2"]) == 10
    out, err = capsys.readouterr()
    assert f"- {first}" in out and "cannot be taken back any more" in out
    assert f"after this, nothing before {second} can be taken back" in out
    assert "1 run on 1 host" in err and "1 of which can still be taken back" in err and "no terminal" in err
    assert main(["runs", "prune", "--keep", "2", "-y"]) == 0
    assert "dropped 1 run" in capsys.readouterr().out
    assert bench.run("runs") == 0
    assert [one["run"] for one in bench.events[-1]["localhost"]] == [second, third]
    assert bench.run("rollback", second, "-y") == 0
    assert bench.files() == {"file": "1\n"}


def test_the_records_of_this_machine_go_too_but_never_the_newest(bench: Bench) -> None:
    runs = three_runs(bench)
    assert records() == runs
    assert bench.run("runs", "prune", "--older-than", "30d", "-y") == 0 and records() == runs
    assert bench.run("runs", "prune", "--older-than", "0s", "-y") == 0
    assert records() == runs[-1:]
    assert bench.run("runs") == 0 and bench.events[-1] == {"localhost": []}


def test_runs_tell_what_they_keep(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    three_runs(bench)
    assert bench.run("runs") == 0
    sizes = [one["size"] for one in bench.events[-1]["localhost"]]
    assert all(size > 0 for size in sizes)
    assert main(["runs"]) == 0
    assert "3 runs, " in capsys.readouterr().out.splitlines()[-1]
    assert bench.run("runs", "prune", "--max-size", str(sizes[2]), "-y") == 0
    assert len(bench.events[-1]["localhost"]["going"]) == 2


def test_what_was_fetched_goes_with_the_runs_that_had_it(bench: Bench) -> None:
    state = Path(os.environ["PROVISION_STATE_DIR"])
    with serve() as site:
        site.pages = {"/one": b"first", "/two": b"second"}
        notes = []
        for name in site.pages:
            bench.tasks(f"""
tasks:
  - name: fetched
    get_url: {{url: "{site.url}{name}", dest: "{{{{ place }}}}{name}"}}
""")
            assert bench.apply() == 0
            notes.append(sorted(os.listdir(state / "downloads")))
    first, both = notes
    package = state / "apt/fetched/tool.deb"
    package.parent.mkdir(parents=True)
    package.write_text("fetched in the first run")
    os.utime(package, ((state / "downloads" / first[0]).stat().st_mtime,) * 2)
    assert bench.run("runs", "prune", "--keep", "1", "-y") == 0
    assert sorted(os.listdir(state / "downloads")) == sorted({*both} - {*first}) != [] and not package.exists()
    assert bench.run("runs", "prune", "--older-than", "0s", "-y") == 0
    assert os.listdir(state / "downloads") == []


@pytest.mark.parametrize(("arguments", "words"), [
    (["prune"], "give --keep N, --older-than 30d or --max-size 2G"),
    (["prune", "--older-than", "3 years"], "30d, 12h, 90m"),
    (["prune", "--max-size", "much"], "2G, 500M"),
    (["prune", "--keep", "-3"], "--keep"),
    (["--keep", "3"], "--keep is for pruning"),
    (["prune", "all", "--keep", "3"], "is not understood"),
])
def test_wrong_limits_say_the_right_forms(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["runs", *arguments]) == 64
    assert words in capsys.readouterr().err
