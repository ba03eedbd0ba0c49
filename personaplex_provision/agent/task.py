"""A task of one host, as the controller compiled it and the agent runs it: plain data, JSON both ways."""

from __future__ import annotations

from typing import Any

from personaplex_provision.agent.record import dataclass, field


@dataclass
class Task:
    """One node of a host's graph.

    A task with `kind == ""` is a join: it does nothing and stands for the tasks it requires (a loop, a block).
    """

    address: str
    "Unique in the host's graph and stable from run to run: `play/role/task name[item]`."
    name: str = ""
    "What people read."
    kind: str = ""
    "Kind of the resource; empty for a join."
    params: dict[str, Any] = field(default_factory=dict)
    'The resource\'s fields in wire form (`{"$blob": [sha256, size]}`, `{"$secret": name}`, else JSON).'
    position: str = ""
    "`file:line:column` of the task in its playbook or role."
    role: str = ""
    "Role the task came from."
    tags: list[str] = field(default_factory=list)
    "Tags, inherited ones included."

    requires: list[list[str]] = field(default_factory=list)
    "Edges: `[address, reason]`; the task starts after all of them ended."
    trigger: str = "success"
    """When the task runs once all it requires have ended: `success`: they are fine; `failed` (rescue): something in
    `trigger_on` failed; `always`: all but those in `trigger_on` are fine; `notified` (handler): something in
    `trigger_on` changed; `block` (the join that ends one): by its body, `trigger_on[0]`, or what rescued it."""
    trigger_on: list[str] = field(default_factory=list)
    "Addresses that the trigger looks at."
    rescued_by: str = ""
    "For the join that ends a block: the join of its rescue, which makes a failure in `trigger_on` good."
    block: str = ""
    "The join of the innermost block body (one with rescue or always) that this task is in; it answers for failures."

    deferred: str = ""
    "Why the task cannot be compiled yet; the agent asks for its definition (`need`) when its turn comes."
    skipped: str = ""
    "Why the task is not to run on this host."
    user: str = ""
    "User the task runs as; empty for the agent's own."
    environment: dict[str, Any] = field(default_factory=dict)
    "Variables added to the environment of every command the task runs."
    retries: int = 0
    "Further attempts after a failure, or until the judge is content."
    delay: float = 5.0
    "Seconds between attempts."
    timeout: float = 0.0
    "Seconds a single attempt may take; 0 for no limit."
    judged: bool = False
    "Whether until, failed_when or changed_when must be evaluated by the controller on the result."
    changed: bool | None = None
    "A constant `changed_when`."
    ignore_errors: bool = False
    "Whether a failure is reported and passed over."
    no_log: bool = False
    "Whether parameters, diff and output stay out of everything that is written."
    probe: bool = False
    "Whether the task only reads and so runs while planning."
    register: str = ""
    "Name under which the result is kept; results are sent to the controller only when this or `judged` is set."
    notify: list[str] = field(default_factory=list)
    "Addresses of the handlers owed when the task changes something."
    handler: str = ""
    "For a handler: the name under which it is owed across runs."
    undo: dict[str, Any] | None = None
    'For a kind that cannot be read back: `{"kind": …, "params": …}` of the task that takes it back.'
    external: bool = False
    "Whether the controller carries the task out itself (delegate_to) and reports the result."
    verify: dict[str, Any] | None = None
    """For a check of a `verify:`: `{"within": seconds}` in which it is repeated. It runs after its step, and is skipped
    when what it checks, `trigger_on`, was skipped."""
    advice: dict[str, str] = field(default_factory=dict)
    "What its author says of a failure: `cause`, `fix`."
    connectivity: bool = False
    "Whether the task can cut the connection itself."
    exclusive: list[str] = field(default_factory=list)
    "Names of which only one holder may run at a time."

    def to_json(self) -> dict[str, Any]:
        """Wire form: fields that differ from their default."""
        return {key: value for key, value in vars(self).items() if value != _BLANK[key]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Task:
        """The task of a wire form; unknown keys are refused with TypeError."""
        return cls(**data)


_BLANK: dict[str, Any] = {**vars(Task(address="")), "address": None}
