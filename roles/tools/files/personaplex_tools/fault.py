"""What a check finds, and what it is given."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class Fault(Exception):
    """Something is not as it should be: what, why, and what to do."""

    def __init__(self, what: str, cause: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what, self.cause, self.fix = what, cause, fix


class Unknown(Exception):
    """It cannot be told here, and that is no fault."""


@dataclass(frozen=True)
class Settings:
    """How PersonaPlex was set up, as the playbook wrote it down."""

    home: str
    source: str
    commit: str
    venv: str
    modules: list[str]
    torch: str
    torch_cuda: str
    packages: list[str]
    forbidden: list[str]
    lock_file: str
    model: bool
    "Whether the model was to be fetched."
    endpoint: str
    repository: str
    revision: str
    cache: str
    files: list[dict[str, str]]
    env_file: str
    owner: str
    tls: str
    names: list[str]
    unit: str
    launcher: str
    address: str
    port: int
    device: str
    recording: str
    offline: str
    "Directory of the recordings that were answered."
    recordings: list[dict[str, str]]

    @property
    def python(self) -> str:
        """The virtualenv's interpreter."""
        return f"{self.venv}/bin/python"

    @property
    def snapshot(self) -> str:
        """Where the model's files have their names."""
        return f"{self.cache}/snapshots/{self.revision}"

    @property
    def probe(self) -> str:
        """The address to ask the server at."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.address, self.address)


def said(argv: Sequence[str], environment: Mapping[str, str] | None = None, seconds: float = 120) -> tuple[int, str]:
    """What a program ends with and says; 127 when it cannot be started, 124 when it takes too long."""
    try:
        done = subprocess.run(list(argv), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                              env=environment, timeout=seconds, check=False)
    except OSError as error:
        return 127, str(error)
    except subprocess.TimeoutExpired:
        return 124, f"took longer than {seconds:.0f} s"
    return done.returncode, done.stdout.strip()


def last(text: str, lines: int = 3) -> str:
    """The end of what was said, in one line."""
    return " | ".join([line.strip() for line in text.splitlines() if line.strip()][-lines:])


def error(text: str) -> str:
    """The line of a traceback that says what it was, wherever it stands; the last line when there is none."""
    lines = [line for line in text.splitlines() if line.partition(":")[0].endswith(("Error", "Exception"))]
    return lines[-1].strip() if lines else last(text, 1)


def settings(content: Mapping[str, Any]) -> Settings:
    """The settings in a file's content. Raises TypeError for what is too much or too little."""
    return Settings(**content)
