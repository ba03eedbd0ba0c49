"""Git repositories over HTTP, served by git's own program: clones, shallow ones too, and fetches of one commit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .repositories import personaplex, publish, pyenv
from .server import Reply, Request, Server

OWNERS = {"personaplex": "NVIDIA", "pyenv": "pyenv"}
"""Whose the repositories are, where the originals are: a mirror keeps these names."""


class GitServer:
    """Stand-ins of NVIDIA/personaplex and of pyenv."""

    def __init__(self, addresses: Sequence[str], directory: Path, pythons: dict[str, str]) -> None:
        self._root = directory / "root"
        work = directory / "work"
        self.commits = {
            "personaplex": personaplex(work / "personaplex"),
            "pyenv": pyenv(work / "pyenv", pythons),
        }
        "Repository -> ids of its commits on `main`, the oldest first."
        for name in self.commits:
            publish(work / name, self._root / f"{name}.git")
            owner = self._root / OWNERS[name]
            owner.mkdir()
            (owner / f"{name}.git").symlink_to(self._root / f"{name}.git")
        self.server = Server(addresses, self._answer)

    def url(self, name: str) -> str:
        """The address of a repository."""
        return f"{self.server.url}/{name}.git"

    def close(self) -> None:
        """Stop serving."""
        self.server.close()

    def _answer(self, request: Request) -> Reply:
        """Ask git's HTTP program, which speaks CGI."""
        environment = {
            **os.environ,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_PROJECT_ROOT": str(self._root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": request.headers.get("Git-Protocol") or "",
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query,
            "CONTENT_TYPE": request.headers.get("Content-Type") or "",
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding") or "",
            "CONTENT_LENGTH": str(len(request.body)),
        }
        said = subprocess.run(["git", "http-backend"], input=request.body, env=environment, capture_output=True)
        head, _, body = said.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        return Reply(int(headers.pop("Status", "200").split()[0]), headers, body)
