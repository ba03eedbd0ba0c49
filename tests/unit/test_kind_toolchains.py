"""pyenv_python and rust_toolchain, with stand-ins of python-build and of rustup-init on the loopback interface."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from personaplex_provision.agent.look import look
from personaplex_provision.agent.resource import Change, ResourceError
from personaplex_provision.agent.resources.git import Git
from personaplex_provision.agent.resources.pip import PipPackages
from personaplex_provision.agent.resources.pyenv_python import PyenvPython
from personaplex_provision.agent.resources.rust_toolchain import RustToolchain
from personaplex_provision.agent.resources.virtualenv import Virtualenv
from tests.unit.kind_host import Life
from tests.unit.loopback import Site, serve

VERSION = platform.python_version()
SHA = "ab" * 32
_BUILD = f"""#!/bin/sh
echo "building with $MAKE_OPTS from $PYTHON_BUILD_MIRROR_URL"
mkdir -p "$2/bin"
case "$PYTHON_CONFIGURE_OPTS" in
*--broken*)
    echo "error: no acceptable C compiler found" >&2
    echo "Results logged to /tmp/python-build.log" >&2
    exit 1 ;;
esac
printf '#!/bin/sh\\nexec {sys.executable} "$@"\\n' > "$2/bin/python"
chmod 0755 "$2/bin/python"
"""


def pyenv(top: Path) -> Path:
    """A checkout of a pyenv that knows this interpreter's version."""
    build = top / "plugins/python-build"
    (build / "bin").mkdir(parents=True)
    (build / "bin/python-build").write_text(_BUILD)
    (build / "bin/python-build").chmod(0o755)
    definitions = build / "share/python-build"
    definitions.mkdir(parents=True)
    (definitions / VERSION).write_text(f'install_package "Python" "https://h/Python-{VERSION}.tar.xz#{SHA}"\n')
    return top


def test_a_python_is_built_checked_and_taken_away(tmp_path: Path) -> None:
    root = pyenv(tmp_path / "pyenv")
    life = Life(tmp_path)
    task = PyenvPython(VERSION, str(root), source_sha256=SHA, mirror_url="http://m", jobs=3, verify_modules=["json"])
    assert life.plan(task) == "create"
    life.apply(task)
    assert ("task_output", {"line": "building with -j3 from http://m"}) in life.events
    assert life.check(task) == []
    task.verify_modules = ["json", "no_such_module"]
    assert [one.before for one in _changes(life, task)] == [f"{VERSION} without no_such_module"]
    life.back()
    assert not (root / "versions").exists()


def test_a_build_that_lacks_a_module_fails_and_leaves_nothing(tmp_path: Path) -> None:
    root = pyenv(tmp_path / "pyenv")
    with pytest.raises(ResourceError, match="was built without no_such_module"):
        Life(tmp_path).apply(PyenvPython(VERSION, str(root), verify_modules=["no_such_module"]))
    assert not (root / "versions").exists()


def test_a_failed_build_shows_its_end_and_where_the_log_is(tmp_path: Path) -> None:
    root = pyenv(tmp_path / "pyenv")
    with pytest.raises(ResourceError, match="could not be built") as caught:
        Life(tmp_path).apply(PyenvPython(VERSION, str(root), configure_opts="--broken"))
    assert "C compiler" in caught.value.detail
    assert "build-essential" in caught.value.hint
    assert caught.value.result["log"] == "/tmp/python-build.log"
    assert not (root / "versions").exists()


def test_another_source_than_expected_is_not_built(tmp_path: Path) -> None:
    root = pyenv(tmp_path / "pyenv")
    with pytest.raises(ResourceError, match="another source") as caught:
        Life(tmp_path).apply(PyenvPython(VERSION, str(root), source_sha256="00" * 32))
    assert SHA in caught.value.detail
    with pytest.raises(ResourceError, match="does not know Python"):
        Life(tmp_path).apply(PyenvPython("3.0.99", str(root)))
    with pytest.raises(ResourceError, match="no pyenv in"):
        Life(tmp_path).apply(PyenvPython(VERSION, str(tmp_path / "nowhere")))


def test_a_blank_machine_is_planned_from_the_checkout_to_the_environment(tmp_path: Path) -> None:
    life, root = Life(tmp_path), tmp_path / "pyenv"
    assert life.plan(Git("https://h/pyenv.git", str(root), "v2.8.1")) == "create"
    assert life.plan(PyenvPython(VERSION, str(root))) == "create"
    assert life.plan(PyenvPython(VERSION, str(root))) == "none"
    assert life.plan(Virtualenv(str(tmp_path / "v"), f"{root}/versions/{VERSION}/bin/python")) == "create"
    assert life.plan(Virtualenv(str(tmp_path / "v"), f"{root}/versions/{VERSION}/bin/python")) == "none"
    assert life.plan(Git("https://h/personaplex.git", str(tmp_path / "source"), "3" * 40)) == "create"
    moshi = PipPackages(
        [f"{tmp_path}/source/moshi"], virtualenv=str(tmp_path / "v"), overrides=["torch==2.9.1"], forbid=["moshi"],
    )
    assert life.plan(moshi) == "create"
    assert life.plan(moshi) == "none"


def test_it_makes_the_checkout_itself_when_told_where_from(tmp_path: Path) -> None:
    up = pyenv(tmp_path / "up")
    (up / ".gitignore").write_text("/versions\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"], ["tag", "v1"]):
        subprocess.run([*git, *words], cwd=up, check=True)
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=up, text=True).strip()
    life = Life(tmp_path)
    task = PyenvPython(
        VERSION, str(tmp_path / "pyenv"), repo=f"file://{up}", tag="v1", commit=commit, verify_modules=["json"],
    )
    assert life.plan(task) == "create"
    life.apply(task)
    assert life.check(task) == []
    life.back()
    assert not (tmp_path / "pyenv").exists()


def _changes(life: Life, task: PyenvPython) -> list[Change]:
    return task.diff(task.observe(life.host()))


_TRIPLE = f"{os.uname().machine}-unknown-linux-gnu"
_INIT = f"""#!/bin/sh
while [ $# -gt 0 ]; do [ "$1" = --default-toolchain ] && name=$2; shift; done
top=$RUSTUP_HOME/toolchains/$name-{_TRIPLE}
mkdir -p "$top/lib/rustlib" "$CARGO_HOME/bin"
echo rustc-{_TRIPLE} > "$top/lib/rustlib/components"
echo "default_toolchain = \\"$name-{_TRIPLE}\\"" > "$RUSTUP_HOME/settings.toml"
printf '#!/bin/sh\\necho rustc %s\\n' "$name" > "$CARGO_HOME/bin/rustc"
cat > "$CARGO_HOME/bin/rustup" <<'END'
#!/bin/sh
[ "$1 $2 $3" = "component add --toolchain" ] || exit 1
echo "$5-{_TRIPLE}" >> "$RUSTUP_HOME/toolchains/$4-{_TRIPLE}/lib/rustlib/components"
END
chmod 0755 "$CARGO_HOME/bin/rustc" "$CARGO_HOME/bin/rustup"
""".encode()


def _publish(site: Site, content: bytes, digest: str) -> None:
    place = f"/rustup/archive/1.28.2/{_TRIPLE}/rustup-init"
    site.pages[place] = content
    site.pages[f"{place}.sha256"] = f"{digest} *rustup-init\n".encode()


def test_a_toolchain_comes_with_its_components_and_goes_whole(tmp_path: Path) -> None:
    with serve() as site:
        _publish(site, _INIT, hashlib.sha256(_INIT).hexdigest())
        task = RustToolchain(
            "1.85.1", components=["clippy"], rustup_version="1.28.2", dist_server=site.url,
            rustup_home=str(tmp_path / "rustup"), cargo_home=str(tmp_path / "cargo"),
        )
        life = Life(tmp_path)
        assert life.plan(task) == "create"
        life.apply(task)
        assert sorted(os.listdir(tmp_path / "cargo")) == ["bin"]
        assert life.check(task) == []
        before = look(str(tmp_path / "rustup"), whole=True)
        task.components = ["clippy", "rust-src"]
        assert life.check(task) == ["components"]
        life.apply(task)
        assert life.check(task) == []
        life.back()
        assert look(str(tmp_path / "rustup"), whole=True) == before
        newer = RustToolchain(
            "1.86.0", rustup_version="1.28.2", dist_server=site.url, rustup_home=str(tmp_path / "rustup"),
            cargo_home=str(tmp_path / "cargo"),
        )
        assert life.check(newer) == ["toolchain"]


def test_an_installer_of_another_digest_is_never_run(tmp_path: Path) -> None:
    with serve() as site:
        _publish(site, b"#!/bin/sh\ntouch $CARGO_HOME/ran\n", "00" * 32)
        task = RustToolchain(
            "1.85.1", rustup_version="1.28.2", dist_server=site.url, rustup_home=str(tmp_path / "rustup"),
            cargo_home=str(tmp_path / "cargo"),
        )
        with pytest.raises(ResourceError, match="not what was expected"):
            Life(tmp_path).apply(task)
    assert not (tmp_path / "cargo").exists()
