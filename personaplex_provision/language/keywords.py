"""Which keyword is allowed where and of which type, and what is refused with which replacement.

Places: `play`, `block`, `task`, `handler`, `role` (an entry of `roles:`), `import`, `include`, `playbook`
(an `import_playbook` entry), `apply` (keywords under `apply:` of an include) and `check` (an item of
`verify:`). The types are those of `keyword_types`.
"""

from __future__ import annotations

from personaplex_provision.agent.record import dataclass


@dataclass(frozen=True)
class Keyword:
    """One keyword: the name of its type and the places it may stand in."""

    type: str
    places: frozenset[str]


_ALL = "play block task handler role import include apply"
_NODE = "block task handler role import include apply"
_TASK = "task handler"

_TABLE = f"""
name              text         play block task handler import include playbook check
vars              variables    {_ALL} playbook check
tags              split        {_ALL} playbook check
when              condition    {_NODE} playbook check
become            bool         {_ALL} check
become_user       text         {_ALL} check
become_method     text         {_ALL} check
become_flags      text         {_ALL}
environment       environment  {_ALL} check
any_errors_fatal  bool         {_ALL}
check_mode        bool         {_ALL}
diff              bool         {_ALL}
no_log            bool         {_ALL} check
ignore_errors     bool         {_ALL} check
run_once          bool         {_ALL} check
throttle          int          {_ALL}
timeout           number       {_ALL} check
module_defaults   defaults     {_ALL}
collections       names        {_ALL}
delegate_to       text         {_NODE} check
delegate_facts    bool         {_NODE}
requires          names        {_NODE}
notify            names        {_NODE}
on_failure        on_failure   play block
verify            list         play block task handler role

hosts             hosts        play
vars_files        vars_files   play
vars_prompt       prompts      play
roles             list         play
pre_tasks         list         play
tasks             list         play
post_tasks        list         play
handlers          list         play
gather_facts      bool         play
gather_subset     split        play
gather_timeout    int          play
serial            batches      play
max_fail_percentage percent    play
strategy          strategy     play
order             order        play
connection        text         play
remote_user       text         play
port              int          play
force_handlers    bool         play
ignore_unreachable bool        play

loop              loop         {_TASK} include check
loop_control      loop_control {_TASK} include check
register          identifier   {_TASK}
args              mapping      {_TASK}
undo              mapping      {_TASK}
affects           names        {_TASK}
retries           int          {_TASK}
delay             number       {_TASK}
until             condition    {_TASK}
changed_when      condition    {_TASK}
failed_when       condition    {_TASK}
async             int          {_TASK}
poll              int          {_TASK}
action            any          {_TASK}
local_action      any          {_TASK}
listen            names        handler

within            duration     check
every             duration     check
cause             text         {_TASK} check
fix               text         {_TASK} check

block             list         block
rescue            list         block
always            list         block
"""


def _read(table: str) -> dict[str, Keyword]:
    rows = (line.split() for line in table.splitlines() if line.strip())
    return {row[0]: Keyword(row[1], frozenset(row[2:])) for row in rows}


KEYWORDS = _read(_TABLE)
"Every keyword of the language."

PLACES = {
    "play": "a play", "block": "a block", "task": "a task", "handler": "a handler", "role": "an entry of roles",
    "import": "an import", "include": "an include", "playbook": "an import_playbook", "apply": "apply",
    "check": "a check",
}
"How messages speak of a place."

REFUSED: dict[str, tuple[str, str]] = {
    "debugger": ("there is no interactive debugger", "`provision plan` shows each step before it is taken"),
    "accelerate": ("accelerated mode is gone", "leave it out: one connection a host is the default"),
    "sudo": ("sudo is written become", "use `become: true`"),
    "sudo_user": ("sudo_user is written become_user", "use `become_user:`"),
    "su": ("su is written become", "use `become: true` with `become_method: su`"),
    "su_user": ("su_user is written become_user", "use `become_user:`"),
    "become_exe": ("the program that raises privileges is not configurable", "use `become_method:`"),
    "fact_path": ("the place of local facts is fixed", "put them into /etc/ansible/facts.d"),
}
"Keywords left out on purpose: why, and what to write instead."

REFUSED_AT: dict[tuple[str, str], str] = {
    ("user", "play"): "use `remote_user:`",
    ("loop", "block"): "move the block into a file and loop over `include_tasks`",
    ("loop", "import"): "an import is read once, before anything runs: use the include_ form of it",
    ("loop_control", "import"): "an import is read once, before anything runs: use the include_ form of it",
    ("loop", "role"): "loop over `include_role` in `tasks:`",
    ("register", "include"): "register the tasks inside",
    ("register", "import"): "register the tasks inside",
    ("register", "block"): "register the tasks inside",
    ("retries", "block"): "give `retries:` to the tasks inside",
    ("until", "block"): "give `until:` to the tasks inside",
    ("changed_when", "block"): "give `changed_when:` to the tasks inside",
    ("failed_when", "block"): "give `failed_when:` to the tasks inside, or add `rescue:`",
    ("when", "play"): "give `when:` to the tasks or roles, or choose the hosts in `hosts:`",
    ("notify", "play"): "give `notify:` to the tasks",
    ("listen", "task"): "only handlers listen: move the task under `handlers:`",
    ("requires", "play"): "plays run in order; `requires:` belongs to tasks, blocks, roles and imports",
    ("remote_user", "task"): "the connection belongs to the host or the play; use `become_user:`",
    ("connection", "task"): "the connection belongs to the host or the play; use `delegate_to: localhost`",
    ("port", "task"): "the connection belongs to the host or the play; set `ansible_port` for the host",
    ("ignore_unreachable", "task"): "set it on the play",
    ("on_failure", "task"): "set it on the play or on a block around the task",
    ("undo", "block"): "give `undo:` to the tasks inside",
    ("verify", "import"): "give it to the tasks inside, or put the checks into the role's `verify/main.yml`",
    ("verify", "include"): "give it to the tasks inside, or put the checks into the role's `verify/main.yml`",
    ("verify", "playbook"): "give it to the plays of that playbook",
    ("retries", "check"): "a check is repeated until `within:` is over: `within: 60s`",
    ("delay", "check"): "`every:` is the time between two looks",
    ("until", "check"): "a check is repeated until it holds or `within:` is over: `within: 60s`",
    ("register", "check"): "a check tells whether it holds, and nothing else",
    ("notify", "check"): "a check changes nothing, so it has nothing to tell a handler",
    ("failed_when", "check"): "say what is right with matchers: `status: {equals: 200}`",
    ("changed_when", "check"): "a check changes nothing",
    ("requires", "check"): "a check comes after what it stands under",
}
"Keywords known elsewhere, with what to do where people often put them."

REFUSED_KINDS: dict[str, tuple[str, str]] = {
    "add_host": ("the inventory does not grow during a run", "use an inventory script (`-i script`)"),
    "group_by": ("the inventory does not grow during a run", "use an inventory script, or `when:` on the fact"),
    "async_status": (
        "there are no background jobs to ask for", "drop `poll: 0`; `requires: []` lets a step run beside the others",
    ),
    "include": ("`include` is gone from Ansible too", "use `import_tasks:` or `include_tasks:`"),
    "win_shell": ("Windows targets are reached by SSH only", "use `win_powershell:`"),
    "win_command": ("Windows targets are reached by SSH only", "use `win_powershell:`"),
    "accelerate": ("accelerated mode is gone", "leave it out: one connection a host is the default"),
}
"Kinds left out on purpose: why, and what to write instead."

CONTROLLER_KINDS = frozenset({"meta", "set_fact", "include_vars", "debug", "assert", "fail", "pause"})
"Kinds that exist only on the controller, known beside those of the caller."

IMPORT_KINDS = frozenset({"import_tasks", "include_tasks", "import_role", "include_role"})
"What reads further tasks."

COLLECTIONS = ("ansible.builtin", "ansible.legacy", "ansible.posix", "community.general", "community.crypto")
"Collections whose prefix may stand before a kind."

META = frozenset({
    "flush_handlers", "noop", "end_play", "end_host", "clear_facts", "refresh_inventory", "reset_connection",
})
"What `meta:` can be asked for."

LOOKUPS = frozenset({
    "config", "csvfile", "dict", "env", "file", "fileglob", "first_found", "flattened", "indexed_items", "ini",
    "inventory_hostnames", "items", "lines", "list", "nested", "cartesian", "password", "pipe", "random_choice",
    "sequence", "subelements", "template", "together", "unvault", "url", "varnames", "vars",
})
"What may follow `with_`."


def short_kind(word: str) -> str:
    """`copy` for `ansible.builtin.copy`; a name of another collection stays as it is."""
    collection, _, kind = word.rpartition(".")
    return kind if collection in COLLECTIONS else word


def allowed(place: str) -> list[str]:
    """The keywords that may stand in `place`."""
    return [name for name, keyword in KEYWORDS.items() if place in keyword.places]
