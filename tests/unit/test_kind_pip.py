"""virtualenv and pip, with real environments, real pip, and a directory of wheels instead of the network."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from personaplex_provision.agent.look import look
from personaplex_provision.agent.resource import ResourceError, Unpredictable
from personaplex_provision.agent.resources.pip import PipPackages
from personaplex_provision.agent.resources.virtualenv import Virtualenv
from tests.unit.kind_host import Life
from tests.unit.wheelhouse import project, wheel

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with pip, and a wheelhouse."""
    top = tmp_path_factory.mktemp("base")
    subprocess.run([sys.executable, "-m", "venv", str(top / "venv")], check=True)
    house = top / "wheels"
    for version in ("1.0", "2.4.1", "2.9.1"):
        wheel(house, "torch", version)
    wheel(house, "numpy", "2.1.3")
    wheel(house, "moshi", "0.2.13", package="moshi", code="whose = 'kyutai'\n")
    wheel(house, "helper", "1.0", ("numpy>=2",))
    wheel(house, "extra-thing", "3.0")
    wheel(house, "app", "1.0", ('extra-thing>=2; extra == "more"', 'nothing-such; python_version < "3"'))
    return top


class Place:
    """An environment of one test, and `pip` tasks for it."""

    def __init__(self, base: Path, tmp_path: Path) -> None:
        self.venv = tmp_path / "venv"
        shutil.copytree(base / "venv", self.venv, symlinks=True)
        self.life = Life(tmp_path, {"PIP_CONFIG_FILE": "/dev/null"})
        self.wheels = base / "wheels"

    def task(self, *names: str, **more: object) -> PipPackages:
        """A task that looks for wheels only in the wheelhouse."""
        found = PipPackages(
            list(names), virtualenv=str(self.venv), no_index=True, find_links=[str(self.wheels)],
            extra_args="--no-cache-dir",
        )
        for key, value in more.items():
            setattr(found, key, value)
        return found

    def python(self, code: str) -> str:
        """What the environment's interpreter prints."""
        return subprocess.check_output([str(self.venv / "bin/python"), "-c", code], text=True).strip()


@pytest.fixture
def place(base: Path, tmp_path: Path) -> Place:
    return Place(base, tmp_path)


def test_packages_come_with_what_they_require_and_go_without_a_trace(place: Place) -> None:
    before = look(str(place.venv), whole=True)
    task = place.task("helper==1.0")
    assert place.life.plan(task) == "create"
    place.life.apply(task)
    assert place.python("import numpy; print(numpy.version)") == "2.1.3"
    assert place.life.check(task) == []
    assert place.life.check(place.task("Helper>=1", "numpy~=2.1.0")) == []
    assert place.life.check(place.task("numpy<2")) == ["numpy"]
    place.life.back()
    assert look(str(place.venv), whole=True) == before


def test_another_version_replaces_and_comes_back(place: Place) -> None:
    place.life.apply(place.task("torch==1.0"))
    before = look(str(place.venv), whole=True)
    assert place.life.apply(place.task("torch", version="2.9.1")).action == "update"
    assert place.python("import torch; print(torch.version)") == "2.9.1"
    place.life.back()
    assert place.python("import torch; print(torch.version)") == "1.0"
    assert look(str(place.venv), whole=True) == before


def test_extras_count(place: Place) -> None:
    place.life.apply(place.task("app"))
    assert place.life.check(place.task("app")) == []
    task = place.task("app[more]")
    assert place.life.check(task) == ["extra-thing"]
    place.life.apply(task)
    assert place.life.check(task) == []


def test_latest_asks_and_absent_removes(place: Place) -> None:
    place.life.apply(place.task("torch==1.0"))
    assert place.life.check(place.task("torch")) == []
    latest = place.task("torch", state="latest")
    assert [one.after for one in place.life.apply(latest).changes] == ["2.9.1"]
    assert place.life.check(latest) == []
    gone = place.task("torch", state="absent")
    assert place.life.apply(gone).action == "delete"
    assert place.life.check(gone) == []


def test_a_requirements_file_with_another_inside(place: Place, tmp_path: Path) -> None:
    (tmp_path / "base.txt").write_text("numpy==2.1.3\n")
    (tmp_path / "all.txt").write_text("-r base.txt\ntorch>=2,<2.5  # pinned\nold; python_version < '3'\n")
    task = place.task(requirements=str(tmp_path / "all.txt"))
    task.name = None
    assert place.life.check(task) == ["torch", "numpy"]
    place.life.apply(task)
    assert place.python("import torch; print(torch.version)") == "2.4.1"
    assert place.life.check(task) == []


def test_overrides_win_over_what_a_package_pins(place: Place, tmp_path: Path) -> None:
    source = project(tmp_path / "moshi", "moshi-personaplex", "0.1.0", ("torch<2.5,>=2.2.0", "numpy<2.2"), "moshi")
    task = place.task(str(source), overrides=["torch==2.9.1"], forbid=["moshi"])
    place.life.apply(task)
    assert place.python("import torch, numpy, moshi; print(torch.version, numpy.version)") == "2.9.1 2.1.3"
    assert place.life.check(task) == []
    assert place.life.check(place.task(str(source), overrides=["torch==2.4.1"])) == ["torch"]
    place.life.apply(place.task("numpy", state="absent"))
    assert place.life.check(task) == ["numpy"]


def test_a_changed_project_is_installed_anew_and_its_tree_stays_clean(place: Place, tmp_path: Path) -> None:
    source = project(tmp_path / "tool", "tool", "1.0")
    task = place.task(str(source))
    before = look(str(source), whole=True)
    place.life.apply(task)
    assert look(str(source), whole=True) == before
    assert place.life.check(task) == []
    (source / "code.py").write_text("made = 2\n")
    assert place.life.check(task) == ["tool"]
    place.life.apply(task)
    assert place.python("import tool; print(tool.made)") == "2"
    assert place.life.check(task) == []
    listed = subprocess.check_output([place.venv / "bin/python", "-m", "pip", "freeze"], text=True)
    assert f"tool @ file://{source}" in listed
    subprocess.run([place.venv / "bin/python", "-m", "pip", "uninstall", "-qy", "tool"], check=True)
    assert not list(place.venv.glob("lib/python3*/site-packages/tool*"))


def test_an_editable_project_is_not_a_copied_one(place: Place, tmp_path: Path) -> None:
    source = project(tmp_path / "tool", "tool", "1.0")
    task = place.task(str(source), editable=True)
    place.life.apply(task)
    assert place.python("import code as c, sys; print([p for p in sys.path if p.endswith('/tool')] != [])") == "True"
    assert place.life.check(task) == []
    (source / "code.py").write_text("made = 2\n")
    assert place.life.check(task) == []
    assert place.life.check(place.task(str(source))) == ["tool"]


def test_a_wheel_of_other_content_and_the_same_version_is_noticed(place: Place, tmp_path: Path) -> None:
    path = wheel(tmp_path / "w", "tool", "1.0", code="made = 1\n")
    task = place.task(str(path))
    place.life.apply(task)
    assert place.life.check(task) == []
    wheel(tmp_path / "w", "tool", "1.0", code="made = 2\n")
    assert place.life.check(task) == ["tool"]
    place.life.apply(task)
    assert place.python("import tool; print(tool.made)") == "2"


def test_a_forbidden_twin_goes_and_what_it_wrote_over_is_brought_anew(place: Place, tmp_path: Path) -> None:
    source = project(tmp_path / "moshi", "moshi-personaplex", "0.1.0", (), "moshi")
    place.life.apply(place.task(str(source)))
    place.life.apply(place.task("moshi"))
    assert place.python("import moshi; print(moshi.whose)") == "kyutai"
    task = place.task(str(source), forbid=["moshi"])
    assert place.life.check(task) == ["moshi"]
    place.life.apply(task)
    assert place.python("import moshi; print(moshi.made)") == "1"
    assert place.life.check(task) == []


def test_a_failure_says_what_to_do_and_leaves_the_environment(place: Place) -> None:
    before = look(str(place.venv), whole=True)
    with pytest.raises(ResourceError) as caught:
        place.life.apply(place.task("numpy", "torch==7"))
    assert "fits Python" in caught.value.hint
    assert look(str(place.venv), whole=True) == before


def test_forcereinstall_installs_each_time(place: Place) -> None:
    task = place.task("torch==1.0", state="forcereinstall")
    assert place.life.apply(task).changed
    assert place.life.apply(place.task("torch==1.0", state="forcereinstall")).changed


def test_a_blank_machine_is_planned_whole(place: Place, tmp_path: Path) -> None:
    shutil.rmtree(place.venv)
    life = place.life
    life.planning().opaque(str(tmp_path / "source"))
    assert life.plan(Virtualenv(str(place.venv), "/opt/none/bin/python")) == "create"
    assert life.plan(place.task("torch==2.9.1")) == "create"
    assert life.plan(place.task("torch>=2")) == "none"
    assert life.plan(place.task("torch==2.4.1")) == "update"
    with pytest.raises(Unpredictable, match="may bring numpy"):
        life.plan(place.task("numpy"))
    assert life.plan(place.task(str(tmp_path / "source/moshi"), overrides=["torch==2.4.1"])) == "create"


def test_a_project_that_is_yet_to_come_into_an_old_environment_is_not_guessed(place: Place, tmp_path: Path) -> None:
    place.life.apply(place.task(str(project(tmp_path / "p", "tool", "1.0"))))
    place.life.planning("the checkout").opaque(str(tmp_path / "p"))
    with pytest.raises(Unpredictable, match="the checkout"):
        place.life.plan(place.task(str(tmp_path / "p")))


def test_a_missing_environment_is_made_first(base: Path, tmp_path: Path) -> None:
    task = PipPackages(
        ["torch==1.0"], virtualenv=str(tmp_path / "v"), virtualenv_python=sys.executable, no_index=True,
        find_links=[str(base / "wheels")],
    )
    life = Life(tmp_path, {"PIP_CONFIG_FILE": "/dev/null"})
    assert life.plan(task) == "create"
    life.apply(task)
    assert (tmp_path / "v/bin/pip").exists()
    assert life.check(Virtualenv(str(tmp_path / "v"), sys.executable)) == []
    life.back()
    assert not (tmp_path / "v").exists()


def test_an_environment_of_a_vanished_interpreter_is_rebuilt(place: Place) -> None:
    task = Virtualenv(str(place.venv), sys.executable)
    assert place.life.check(task) == []
    for name in ("python", "python3", f"python3.{sys.version_info.minor}"):
        (place.venv / "bin" / name).unlink()
        (place.venv / "bin" / name).symlink_to("/nonexistent/python")
    before = look(str(place.venv), whole=True)
    place.life.apply(task)
    assert place.python("print(1)") == "1"
    place.life.back()
    assert look(str(place.venv), whole=True) == before


def test_a_prompt_is_changed_without_losing_packages(place: Place) -> None:
    place.life.apply(place.task("torch==1.0"))
    task = Virtualenv(str(place.venv), prompt="lab", system_site_packages=True)
    assert sorted(place.life.check(task)) == ["prompt", "system_site_packages"]
    before = look(str(place.venv), whole=True)
    place.life.apply(task)
    assert place.life.check(task) == []
    assert place.python("import torch; print(torch.version)") == "1.0"
    place.life.back()
    assert look(str(place.venv), whole=True) == before


def test_two_tasks_of_one_environment_exclude_each_other() -> None:
    assert PipPackages(["x"], virtualenv="/a").exclusive == Virtualenv("/a").exclusive == ("pip:/a",)
    assert PipPackages(["x"], virtualenv="/b").exclusive == ("pip:/b",)
    assert PipPackages.exclusive == ()
