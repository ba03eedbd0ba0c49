"""Environments of the other tools: made by pip when first needed, kept in the cache, never our own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.lab.places import cache, locked


def environment(name: str, *packages: str) -> Path:
    """The `bin` of a virtual environment that holds the newest releases of `packages`. Raises CalledProcessError."""
    folder = cache().with_name("provision-benchmarks") / name
    with locked(f"benchmark-{name}"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run([newest_python(), "-m", "venv", str(folder)], check=True)
            pip = [str(folder / "bin/pip"), "install", "-qq", "--disable-pip-version-check", *packages]
            subprocess.run(pip, check=True, stdout=subprocess.DEVNULL)
            (folder / "done").touch()
    return folder / "bin"


def versions(folder: Path, *packages: str) -> dict[str, str]:
    """The releases that an environment holds."""
    code = "import sys, importlib.metadata as m; print(*(m.version(one) for one in sys.argv[1:]))"
    found = subprocess.run([str(folder / "python"), "-c", code, *packages], capture_output=True, text=True, check=True)
    return dict(zip(packages, found.stdout.split(), strict=True))


def newest_python() -> str:
    """The newest Python of this machine that starts: the newest releases want one."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for minor in (13, 12):
        kept = sorted(pyenv.glob(f"versions/3.{minor}.*/bin/python3"))
        for one in (shutil.which(f"python3.{minor}"), *(str(path) for path in kept)):
            if one and subprocess.run([one, "-c", "import venv"], capture_output=True, check=False).returncode == 0:
                return one
    return sys.executable
