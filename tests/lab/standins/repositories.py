"""The content of the git repositories, and the commits made of it: the same ids every time."""

from __future__ import annotations

import array
import io
import math
import os
import shutil
import wave
from pathlib import Path

from ..commands import output, run
from .index import SITE

FILES = Path(__file__).parent / "files"
REAL_PYTHON = ("3.10.14", "9c50481faa8c2832329ba0fc8868d0a606a680fc4f60ec48d26ce8e076751fda")

DEFINITION = """\
install_package "Python-{version}" "https://www.python.org/ftp/python/{version}/Python-{version}.tar.xz#{sha256}"
"""


def personaplex(top: Path) -> list[str]:
    """Make the stand-in of NVIDIA/personaplex at `top`; two commits, the older first."""
    shutil.copytree(FILES / "personaplex", top)
    shutil.copytree(SITE / "moshi", top / "moshi/moshi", ignore=shutil.ignore_patterns("__pycache__"))
    first = _commit(top, "The server, the offline tool and the pins")
    for name, seconds in (("input_assistant.wav", 40), ("input_service.wav", 20)):
        path = top / "assets/test" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_wav(seconds))
    return [first, _commit(top, "Recordings to test with")]


def pyenv(top: Path, pythons: dict[str, str]) -> list[str]:
    """Make the stand-in of pyenv at `top`, with a definition of each Python (version -> SHA-256), tagged v2.8.1."""
    shutil.copytree(FILES / "pyenv", top)
    definitions = top / "plugins/python-build/share/python-build"
    definitions.mkdir(parents=True)
    for version, sha256 in [*pythons.items(), REAL_PYTHON]:
        (definitions / version).write_text(DEFINITION.format(version=version, sha256=sha256))
    (top / ".gitignore").write_text("/versions\n/shims\n/version\n/cache\n")
    commit = _commit(top, "pyenv 2.8.1")
    run([*_git(top), "tag", "v2.8.1"])
    return [commit]


def publish(top: Path, bare: Path) -> None:
    """Put the repository at `top` where it can be served; a single commit may be asked for by its id."""
    run(["git", "clone", "--quiet", "--bare", str(top), str(bare)])
    run(["git", "-C", str(bare), "config", "uploadpack.allowReachableSHA1InWant", "true"])


def _commit(top: Path, message: str) -> str:
    person = {"NAME": "lab", "EMAIL": "lab@lab.invalid", "DATE": "2026-03-02T00:00:00Z"}
    who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in person.items()}
    environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    if not (top / ".git").exists():
        run(["git", "init", "--quiet", "--initial-branch=main", str(top)], env=environment)
    run([*_git(top), "add", "--all"], env=environment)
    run([*_git(top), "commit", "--quiet", "--message", message], env=environment)
    return output([*_git(top), "rev-parse", "HEAD"])


def _git(top: Path) -> list[str]:
    return ["git", "-C", str(top)]


def _wav(seconds: int) -> bytes:
    """Somebody who says something for a second in every four, as far as a level meter can tell."""
    spoken = array.array("h", (round(9000 * math.sin(index / 11) * math.sin(index / 2400)) for index in range(24000)))
    pause = bytes(2 * 24000 * 3)
    whole = (spoken.tobytes() + pause) * (seconds // 4)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24000)
        file.writeframes(whole)
    return buffer.getvalue()
