"""Small honest stand-ins for the servers that a lab host cannot reach. Each remembers what was asked of it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeVar

from .apt import AptRepository
from .git import GitServer
from .hub import Hub
from .index import PackageIndex
from .python import PythonMirror
from .rust import RustServer
from .toolkit import PACKAGES


class _Closable(Protocol):
    def close(self) -> None: ...


T = TypeVar("T", bound=_Closable)


class Standins:
    """The stand-ins of a lab; each starts when it is first asked for."""

    def __init__(self, addresses: Sequence[str], directory: Path) -> None:
        self._addresses = list(addresses)
        self._directory = directory
        self._stack = contextlib.ExitStack()

    @cached_property
    def apt(self) -> AptRepository:
        """NVIDIA's apt repository."""
        return self._keep(AptRepository(self._addresses, self._directory / "apt"))

    @cached_property
    def toolkit(self) -> AptRepository:
        """NVIDIA's apt repository for containers."""
        return self._keep(AptRepository(self._addresses, self._directory / "toolkit", PACKAGES))

    @cached_property
    def python(self) -> PythonMirror:
        """The mirror of Python's sources."""
        return self._keep(PythonMirror(self._addresses, self._directory / "python"))

    @cached_property
    def git(self) -> GitServer:
        """Git repositories: `personaplex` and `pyenv`."""
        return self._keep(GitServer(self._addresses, self._directory / "git", self.python.sha256))

    @cached_property
    def index(self) -> PackageIndex:
        """The Python package index."""
        return self._keep(PackageIndex(self._addresses))

    @cached_property
    def hub(self) -> Hub:
        """The model hub."""
        return self._keep(Hub(self._addresses))

    @cached_property
    def rust(self) -> RustServer:
        """Rust's distribution server."""
        return self._keep(RustServer(self._addresses, self._directory / "rust"))

    def close(self) -> None:
        """Stop all that were started."""
        self._stack.close()

    def _keep(self, server: T) -> T:
        self._stack.callback(server.close)
        return server
