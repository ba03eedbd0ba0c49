"""What a command was asked to do, as values; the command line fills it, nothing here parses."""

from __future__ import annotations

from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.executors.connection import Link


@dataclass
class Options:
    """The flags of interface.md that change what a run does."""

    inventory: list[str] = field(default_factory=list)
    limit: str | None = None
    tags: frozenset[str] = frozenset({"all"})
    skip_tags: frozenset[str] = frozenset()
    targets: list[str] = field(default_factory=list)
    extra_vars: list[str] = field(default_factory=list)
    forks: int = 50
    jobs: int = 0
    "Tasks at once in a host; 0 lets the host's processors decide."
    on_failure: str = ""
    "stop, continue or rollback; empty for what the play says."
    lock_timeout: float = 0.0
    on_disconnect: str = "continue"
    "What a run does whose controller is gone: `continue` to its end, or `stop` at the next step boundary."
    reconnect_timeout: float = 300.0
    "Seconds for which the controller tries to come back to a run, and a run waits for an answer it needs."
    heartbeat: float = 5.0
    "Seconds between signs of life of a run; four missing ones mean that the connection is dead."
    confirm: str = "auto"
    "Who confirms steps that can cut the connection: auto (the controller, over a new connection), manual, off."
    confirm_timeout: float = 120.0
    "Seconds until the host takes back by itself what was not confirmed."
    link: Link = field(default_factory=Link)
    vault_ids: list[str] = field(default_factory=list)
    vault_password_files: list[str] = field(default_factory=list)
    ask_vault_password: bool = False
    force: bool = False
    profile: bool = False
    "Whether to say where the time went."
    roles_path: list[str] = field(default_factory=list)
    shuffle: int | None = None
    "Seed of a random legal order of every host's graph, one task at a time; for proving the edges."
    require_reversible: str = ""
    "`reversible`: no step that cannot be taken back is taken; `exact`: none whose way back is only best-effort."
    observed: bool = False
    "Whether plans tell digests of what they found, so that they can be kept, or held against one that was."
    fault_at: int = 0
    "The N-th journal or file-system operation of the agent is its last; for proving recovery."
