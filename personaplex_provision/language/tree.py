"""A playbook as written: plays, tasks, blocks, imports and roles, each knowing where it stands.

Nothing here is rendered: keywords and parameters hold the values of the source, templates included. Every
`keywords` is a `Mapping` with the position of each key and value, and holds only keywords that are allowed at
that place and whose untemplated values have the right type: `tags notify requires affects collections
gather_subset` are always lists of Text, booleans and whole numbers written as text are booleans and numbers,
`undo` is a `Written` and `verify` a list of them. Conditions are Text, a boolean, or a list of them. Names of
kinds are short ones (`copy`, never `ansible.builtin.copy`). Paths are relative to the working directory when the
playbook's was.
"""

from __future__ import annotations

from typing import TypeAlias

from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.errors import Diagnostic, Position
from personaplex_provision.language.source import Mapping, Text


@dataclass
class Role:
    """A role as its directory says. One directory gives one object, however often a playbook uses it."""

    name: str
    "Name as it was asked for: the directory's own, or `collection.name`."
    path: str
    "The role's directory (`role_path`)."
    position: Position
    "`tasks/main.yml`, or the directory when the role has none; line 0."
    defaults: Mapping = field(default_factory=Mapping)
    "Variables of lowest precedence, from `defaults/main.yml` or the files of `defaults/main/`."
    vars: Mapping = field(default_factory=Mapping)
    "Variables of the role, from `vars/main.yml` or the files of `vars/main/`."
    defaults_files: list[str] = field(default_factory=list)
    "Files that `defaults` was read from, in the order they were read."
    vars_files: list[str] = field(default_factory=list)
    "Files that `vars` was read from, in the order they were read."
    tasks: list[Node] = field(default_factory=list)
    "`tasks/main.yml`."
    handlers: list[Written] = field(default_factory=list)
    "`handlers/main.yml`, imports flattened."
    dependencies: list[RoleUse] = field(default_factory=list)
    "`meta: dependencies`, to be run before the role's tasks."
    allow_duplicates: bool = False
    "`meta: allow_duplicates`: runs each time it is used, instead of once for the same parameters in a play."
    argument_specs: Mapping = field(default_factory=Mapping)
    "Entry point (`main`, or the name in `tasks_from`) -> its spec; see `argument_specs.check_arguments`."
    verify: list[Written] = field(default_factory=list)
    "`verify/main.yml`: the checks that hold once the role is applied."
    library: dict[str, str] = field(default_factory=dict)
    "Kinds of the role's own: name -> path of `library/NAME.py`."

    def __repr__(self) -> str:
        return f"Role({self.name!r}, {self.path!r})"


@dataclass
class Written:
    """A task, or a handler when it is in a list of handlers."""

    kind: str
    "Short name of the kind; also `meta`, `set_fact` and the like, which only the controller knows."
    params: Mapping | Text | None
    """Parameters: a mapping (with `args:` merged in), free-form text as written, or nothing. A whole mapping
    given as `{{ x }}` is Text too."""
    name: str
    "As written, templates included; empty when the task has none."
    position: Position
    "First character of the task."
    kind_position: Position
    "Where the kind was written."
    keywords: Mapping
    """Everything but kind, params, name, listen and (unless params is text) args. `with_X` stays under its
    name."""
    file: str
    "File the task stands in; relative paths of files and templates are looked up from here."
    role: Role | None = None
    "Role the task belongs to: its variables are visible and its `files/` and `templates/` searched first."
    listen: list[str] = field(default_factory=list)
    "Topics a handler listens to besides its name."
    args: Mapping | None = None
    "`args:`, only when `params` is text; else it is part of `params`."
    lookup: str = ""
    """X of `with_X`, short (`items`, `dict`, …); its value is `keywords['with_X']`. Empty for `loop` or no
    loop."""
    inherited: list[Mapping] = field(default_factory=list)
    """For a handler out of an import: keywords of the imports it came through, the outermost first; they hold
    as a block's do."""
    check: bool = False
    "Whether it is an item of `verify:`; its kind is a `check_…` one, or `assert`."


@dataclass
class Block:
    """Tasks that share keywords, with what to do when one fails and what to do in the end."""

    body: list[Node]
    "`block:`."
    rescue: list[Node]
    "`rescue:`; empty when there is none."
    always: list[Node]
    "`always:`; empty when there is none."
    keywords: Mapping
    "Keywords that every task inside inherits (when, tags, become, vars, requires …)."
    name: str
    "As written; empty when the block has none. `requires` may name it."
    position: Position
    "First character of the block."
    file: str = ""
    "File the block stands in."
    role: Role | None = None
    "Role the block belongs to."


@dataclass
class Import:
    """`import_tasks`, `include_tasks`, `import_role` or `include_role`."""

    what: str
    "`tasks` or `role`."
    static: bool
    "Whether it was written `import_…`."
    target: str
    "File or role as written, templates included."
    nodes: list[Node]
    "What was imported: the tasks of the file, or of the role's `tasks_from`; empty while not `loaded`."
    loaded: bool
    "Whether `nodes` is there. Not so for an include whose name has a template: `playbook.load_import` reads it later."
    keywords: Mapping
    "Keywords of the task itself (when, loop, tags, vars, requires …): all that is inside inherits them."
    params: Mapping
    """As given: `file`, or `name tasks_from vars_from defaults_from handlers_from apply public
    allow_duplicates`."""
    name: str
    "As written; empty when the task has none."
    position: Position
    "First character of the task."
    file: str
    "File the import stands in; a file named in `target` is looked up from here."
    role: Role | None = None
    "Role the import task belongs to."
    imported: Role | None = None
    "Role that `what == 'role'` names, once loaded. Its `dependencies` run before `nodes`."
    apply: Mapping = field(default_factory=Mapping)
    "Keywords under `apply:` of an include: everything inside inherits them as well."
    lookup: str = ""
    "X of `with_X`, as in `Written`."
    path: str = ""
    "File that `nodes` were read from; empty when not loaded or when the role has no such file."
    entry_point: str = "main"
    "For a role: name of the tasks file, which is the name of the argument spec that holds."


@dataclass
class RoleUse:
    """One entry of `roles:` or of `meta: dependencies`."""

    role: Role | str
    "The role, or its name as written when that has a template that is not known statically."
    params: Mapping
    "Role parameters: keys of the entry that are no keywords. They win over `vars`."
    vars: Mapping
    "`vars:` of the entry."
    keywords: Mapping
    "tags, when, become, requires … : everything in the role inherits them."
    name: str
    "Name as written, what `requires` may name."
    position: Position
    "First character of the entry."
    file: str = ""
    "File the entry stands in."


Node: TypeAlias = "Written | Block | Import | RoleUse"
"What a list of tasks holds. (RoleUse stands only in `Play.roles` and `Role.dependencies`.)"


@dataclass
class Play:
    """One play: hosts, and what is done to them."""

    name: str
    "As written; empty when the play has none."
    hosts: object
    "The pattern as written: Text, or a list of them."
    position: Position
    "First character of the play."
    keywords: Mapping
    """Everything but name, hosts, vars, vars_files, roles, the task lists and handlers; `when` and `tags` of
    an `import_playbook` included."""
    vars: Mapping
    "`vars:`; those of an `import_playbook` are merged in and win."
    vars_files: list[object]
    """Each a Text, or a list of them of which the first that exists counts; templates unrendered, relative to
    `directory`."""
    roles: list[RoleUse]
    "`roles:`; they run after `pre_tasks` and before `tasks`."
    pre_tasks: list[Node]
    "`pre_tasks:`."
    tasks: list[Node]
    "`tasks:`."
    post_tasks: list[Node]
    "`post_tasks:`."
    handlers: list[Written]
    "`handlers:` of the play itself, imports flattened; `playbook.handlers_of(play)` adds those of roles."
    file: str
    "Playbook file the play stands in."
    directory: str
    "Its directory (`playbook_dir`): `group_vars/`, `files/`, `templates/` and `library/` are beside it."
    library: dict[str, str] = field(default_factory=dict)
    "Kinds of the user's own: name -> path, of the playbook's `library/` and of every role used."


@dataclass
class Playbook:
    """A playbook file with all that it imports."""

    path: str
    "As it was asked for."
    plays: list[Play]
    "In order, those of `import_playbook` in its place."
    directory: str
    "Directory of `path`."
    notes: list[Diagnostic] = field(default_factory=list)
    "Remarks on what is accepted and has no effect, of severity `note`."
