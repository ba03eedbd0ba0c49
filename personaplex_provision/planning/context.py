"""What compiling the tasks of one host needs to know, and what it gathers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.errors import Position
from personaplex_provision.language.templates import Templar
from personaplex_provision.language.values import Pending, Unknown
from personaplex_provision.language.variables import Layer, Level, Variables
from personaplex_provision.language.vault import VaultKeys
from personaplex_provision.planning.coerce import Stock
from personaplex_provision.planning.shared import Shared


@dataclass
class Reading:
    """How files of tasks are read later, when the name of an include is known."""

    kinds: Collection[str] = ()
    roles_path: Sequence[str] = ()
    static_vars: Mapping[str, Any] = field(default_factory=dict)
    open_text: Callable[[str, Position], str] | None = None


@dataclass
class HostContext:
    """One host in one run. Lives as long as the run; `results` and `stock` grow."""

    host: str
    base: Variables
    "Inventory, group_vars, host_vars, facts and extra vars."
    magic: dict[str, Any]
    "What the engine says of itself: `inventory_hostname`, `groups`, `hostvars`, `ansible_facts` …"
    batch: list[str]
    "Hosts of the play's batch; `run_once` means the first."
    login: str = ""
    "User the connection was made as, when the agent became another."
    root: bool = False
    "Whether the agent runs as root."
    local: bool = False
    "Whether the host is the controller's own machine, so that a task delegated to localhost is at home here."
    become: bool = False
    "Whether `become` is the default (`-b`, `ansible_become`)."
    tags: frozenset[str] = frozenset({"all"})
    skip_tags: frozenset[str] = frozenset()
    vault: VaultKeys | None = None
    reading: Reading = field(default_factory=Reading)
    results: dict[str, Any] = field(default_factory=dict)
    "What tasks registered, by address."
    stock: Stock = field(default_factory=Stock)
    shared: Shared = field(default_factory=Shared)
    "What the hosts of the run have in common."

    @property
    def sort(self) -> tuple[bool, str, bool, bool]:
        """What of a host itself has a part in every task, whatever is written in it."""
        return self.root, self.login, self.become, self.local

    def templar(self, variables: Variables, search_path: Sequence[str]) -> Templar:
        """A templar over `variables` with the engine's own on top."""
        top = Layer(Level.EXTRA_VARS, self.magic, "the engine")
        values = {**variables.as_dict(), **top.values}

        def origin(name: str) -> str:
            found = variables.definitions(name)
            return f"{found[0].origin}" if found else ""

        return Templar(values, search_path=search_path, results=self.results, vault=self.vault, origin=origin)


class Later(dict[str, Any]):
    """A result of which the plan knows only a part; anything else is known after apply."""

    def __init__(self, known: Mapping[str, Any], address: str) -> None:
        super().__init__(known)
        self.address = address

    def __missing__(self, key: str) -> Any:
        return Unknown(f"{self.address}!", f"known after {self.address}")

    def __contains__(self, key: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        raise Pending(self[""])  # whoever wants all of it wants what is not known
