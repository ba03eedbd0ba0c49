"""The files a run is made of: inventory, extra variables, vault, playbook; and what each host sees of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.errors import Diagnostic, Findings, Position, ProvisionError, UsageError, suggestion
from personaplex_provision.executors.connection import Connection, connection_of
from personaplex_provision.language.inventory import Inventory, load_inventory
from personaplex_provision.language.playbook import load_playbook, nodes_of
from personaplex_provision.language.source import Mapping as Positioned
from personaplex_provision.language.tree import Import, Play, Playbook, Written
from personaplex_provision.language.variables import Layer, Level, Variables, parse_extra_vars
from personaplex_provision.language.vars_file import load_vars_file
from personaplex_provision.language.vault import VaultKeys
from personaplex_provision.language.vault_sources import load_keys
from personaplex_provision.planning.kinds import kind_names
from personaplex_provision.runs.options import Options
from personaplex_provision.runs.survey import Survey, survey

if TYPE_CHECKING:
    from personaplex_provision.language.templates import Scope, Templar
    from personaplex_provision.planning.context import HostContext
    from personaplex_provision.planning.shared import Shared

@dataclass
class Project:
    """What was read for one command."""

    options: Options
    inventory: Inventory
    extra: list[Layer]
    keys: VaultKeys
    playbook: Playbook | None = None
    prompts: Mapping[str, Any] = field(default_factory=dict)
    checked: bool = True
    "Whether the parameters of the tasks were checked."
    _surveys: dict[int, tuple[Play, Survey]] = field(default_factory=dict)

    def check(self) -> None:
        """Checks what `open_project` left unchecked. Raises InvalidError, UsageError."""
        if not self.checked and self.playbook is not None:
            self.checked = True
            check(self.playbook)
            check_tags(self.playbook, self.options)

    def open_text(self, text: str, position: Position) -> str:
        """Opens a file that is encrypted whole."""
        return self.keys.decrypt(text, position).decode("utf-8")

    @property
    def directory(self) -> str:
        """Where the playbook is; the working directory without one."""
        return os.path.abspath(self.playbook.directory) if self.playbook else os.getcwd()

    def static_vars(self) -> dict[str, Any]:
        """Extra variables: what names of imports may use."""
        return dict(Variables(self.extra).as_dict())

    def hosts(self, play: Play) -> list[str]:
        """Hosts of a play after `--limit`, in order."""
        pattern: Any = play.hosts
        if open_(pattern):
            from personaplex_provision.language.templates import Templar

            pattern = Templar(self.static_vars(), vault=self.keys).render(pattern, play.position)
        position = getattr(play.hosts, "position", play.position)
        return self.inventory.select(pattern, position, self.options.limit)

    def survey(self, play: Play) -> Survey:
        """What is in a play."""
        if id(play) not in self._surveys:
            self._surveys[id(play)] = play, survey(play)
        return self._surveys[id(play)][1]

    def variables(self, host: str) -> Variables:
        """What the inventory and `-e` say of a host, before facts and the play."""
        return Variables([*self.inventory.layers(host, self.directory), *self.extra])

    def magic(self, host: str, batch: list[str], plays: list[str]) -> dict[str, Any]:
        """The engine's own variables."""
        directory = self.directory
        return {
            **self.inventory.magic(host), "playbook_dir": directory, "hostvars": self.hostvars(),
            "ansible_play_hosts": plays, "ansible_play_hosts_all": plays, "ansible_play_batch": batch,
            "play_hosts": plays, "ansible_check_mode": False,
            "ansible_version": {"full": "2.21.0", "major": 2, "minor": 21},
            "ansible_run_tags": sorted(self.options.tags), "ansible_skip_tags": sorted(self.options.skip_tags),
            "ansible_forks": self.options.forks,
        }

    def hostvars(self) -> Mapping[str, Any]:
        """Every host's inventory variables by host, looked up when they are used."""
        if not hasattr(self, "_hostvars"):
            self._hostvars = _HostVars(self)
        return self._hostvars

    def connection(self, host: str, become: bool) -> Connection:
        """How to reach a host; `become` when the play needs root anywhere."""
        variables = self.variables(host).as_dict()
        wanted = {name: value for name, value in variables.items() if name.startswith(("ansible_", "wsl_"))}
        if any(map(open_, wanted.values())):
            templar = self.templar(variables)
            wanted = {name: templar.render(value, getattr(value, "position", None)) for name, value in wanted.items()}
        found = connection_of(host, wanted, self.options.link)
        if become or found.become:
            # One agent a host: it is root, and a task that becomes someone else does so inside it.
            found.become, found.become_user = True, "root"
        return found

    def reach(self, host: str, plays: Iterable[Play]) -> Connection:
        """How to reach a host for some plays, as they and the inventory have it."""
        variables, plays = self.variables(host).as_dict(), list(plays)
        connection = self.connection(host, any(self._becomes(play, variables) for play in plays))
        for play in plays:
            if play.keywords.get("remote_user") and not connection.user:
                connection.user = str(play.keywords["remote_user"])
            if play.keywords.get("port") and connection.port is None:
                connection.port = int(play.keywords["port"])
            if play.keywords.get("connection") and "ansible_connection" not in variables:
                connection.kind = str(play.keywords["connection"])
        return connection

    def _becomes(self, play: Play, variables: Mapping[str, Any]) -> bool:
        """Whether any task of the play may need root."""
        if self.options.link.become or _yes(variables.get("ansible_become")) or _yes(play.keywords.get("become")):
            return True
        return any(map(_yes, self.survey(play).become))

    def templar(self, variables: Mapping[str, Any]) -> Templar:
        """What renders values of the inventory."""
        from personaplex_provision.language.templates import Templar

        return Templar(variables, vault=self.keys, search_path=[self.directory])

    def context(self, host: str, play: Play, hello: dict[str, Any], connection: Connection, batch: list[str],
                plays: list[str], shared: Shared | None = None) -> HostContext:
        """What compiling a play for a host needs."""
        from personaplex_provision.language.templates import inert
        from personaplex_provision.planning.context import HostContext, Reading
        from personaplex_provision.planning.shared import Shared

        facts = hello.get("facts", {})
        base = self.variables(host)
        magic = self.magic(host, batch, plays)
        magic["ansible_facts"] = {name.removeprefix("ansible_"): value for name, value in facts.items()}
        layers = [Layer(Level.FACTS, inert(facts), "facts")] if facts else []
        if play.vars:
            layers.append(Layer(Level.PLAY_VARS, play.vars, "vars of the play"))
        if self.prompts:
            layers.append(Layer(Level.PLAY_VARS_PROMPT, self.prompts, "vars_prompt"))
        for role in self.survey(play).roles:
            layers.append(Layer(Level.ROLE_DEFAULT, role.defaults, f"defaults of role {role.name}"))
            layers.append(Layer(Level.ROLE_VARS, role.vars, f"vars of role {role.name}"))
        base = base.extended(*layers)
        for path, position in self._vars_files(play, base, magic):
            base = base.extended(Layer(Level.PLAY_VARS_FILES, load_vars_file(path, self.open_text, position), path))
        root = facts.get("ansible_effective_user_id", os.geteuid() if connection.kind == "local" else -1) == 0
        return HostContext(
            host, base, magic, batch, login=str(facts.get("ansible_login_user", "")) if root else "", root=root,
            local=connection.kind == "local",
            become=connection.become and _default_become(play, self, host), tags=self.options.tags,
            skip_tags=self.options.skip_tags, vault=self.keys,
            reading=Reading(kind_names(), self.options.roles_path, self.static_vars(), self.open_text),
            shared=shared or Shared(),
        )

    def _vars_files(self, play: Play, base: Variables, magic: dict[str, Any]) -> Iterable[tuple[str, Position | None]]:
        if not play.vars_files:
            return
        from personaplex_provision.language.templates import Templar

        templar = Templar({**base.as_dict(), **magic}, search_path=[play.directory], vault=self.keys)
        for entry in play.vars_files:
            choices = entry if isinstance(entry, list) else [entry]
            names = [str(templar.render(one, getattr(one, "position", None))) for one in choices]
            paths = [os.path.join(play.directory, os.path.expanduser(one)) for one in names]
            position = getattr(choices[0], "position", None) if choices else None
            found = next((one for one in paths if os.path.exists(one)), paths[0] if len(paths) == 1 else None)
            if found is not None:
                yield found, position


class _HostVars(Mapping[str, Any]):
    """`hostvars`: each host's variables in that host's own terms."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._known: dict[str, Scope] = {}

    def __getitem__(self, name: str) -> Scope:
        if name not in self._known:
            project = self._project
            if name not in project.inventory.hosts and name != "localhost":
                raise KeyError(name)
            from personaplex_provision.language.templates import Scope

            values = {**project.variables(name).as_dict(), **project.inventory.magic(name)}
            self._known[name] = Scope(project.templar(values))
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._project.inventory.hosts)

    def __len__(self) -> int:
        return len(self._project.inventory.hosts)


def open_project(options: Options, playbook: str | None = None, ask: Any = None, checked: bool = True) -> Project:
    """Reads everything a command needs; all that is wrong in the files is raised at once.

    Without `checked` the parameters of tasks are left to `Project.check`, which needs most of the engine.
    """
    prompts = {} if ask is None else {"prompt": ask}
    keys = load_keys(options.vault_ids, options.vault_password_files, options.ask_vault_password, **prompts)

    def open_text(text: str, position: Position) -> str:
        return keys.decrypt(text, position).decode("utf-8")

    extra = parse_extra_vars(options.extra_vars, open_text)
    inventory = load_inventory(options.inventory, open_text)
    project = Project(options, inventory, extra, keys)
    if playbook is not None:
        project.playbook = load_playbook(
            playbook, kinds=kind_names(), roles_path=options.roles_path, static_vars=project.static_vars(),
            open_text=open_text,
        )
        project.checked = False
        if checked:
            project.check()
    return project


def open_(value: Any) -> bool:
    """Whether a value has to be rendered, or opened, before it can be used."""
    return "{{" in value or "{%" in value if isinstance(value, str) else not isinstance(value, (bool, int, float))


def check(playbook: Playbook) -> None:
    """Checks the parameters of every task as far as they can be read without a host. Raises InvalidError."""
    from personaplex_provision.planning import schema

    findings = Findings()
    for play in playbook.plays:
        for node in nodes_of(play):
            if not isinstance(node, Written) or node.kind in ("meta", "include_vars", "set_fact", "assert", "debug"):
                continue
            params: Any = node.params
            if isinstance(params, Positioned) and node.kind in ("copy", "template", "script", "unarchive"):
                written = params
                params = Positioned(written, position=written.position)
                params.key_positions, params.value_positions = written.key_positions, written.value_positions
                source = params.pop("src", None)
                if source is not None and "content" not in params:
                    params["content"] = "{{ source }}"
            if not isinstance(params, Positioned):
                continue
            try:
                schema.check_static(node.kind, params, params, node.kind_position, library=play.library)
            except ProvisionError as error:
                findings.take(error)
    findings.raise_if_any()


def check_tags(playbook: Playbook, options: Options) -> None:
    """Refuses a tag that nothing in the playbook has: it would choose nothing. Raises UsageError."""
    known: set[str] = set()
    for play in playbook.plays:
        known |= {str(one) for one in play.keywords.get("tags", ())}
        for node in [*nodes_of(play), *_handlers(play)]:
            known |= {str(one) for one in node.keywords.get("tags", ())}
            if isinstance(node, Import):
                known |= {str(one) for one in node.apply.get("tags", ())}
                if not node.loaded:
                    return  # what a file that is read later brings is not known
    asked = (options.tags | options.skip_tags) - {"all", "always", "never", "tagged", "untagged"}
    wrong = [Diagnostic(f'no task has the tag "{one}"', hint=suggestion(one, known)) for one in sorted(asked - known)
             if "{{" not in "".join(known)]
    if wrong:
        raise UsageError(wrong)


def _handlers(play: Play) -> list[Written]:
    from personaplex_provision.language.playbook import handlers_of

    return handlers_of(play)


def _default_become(play: Play, project: Project, host: str) -> bool:
    value = play.keywords.get("become")
    if value is not None:
        return _yes(value)
    return project.options.link.become or _yes(project.variables(host).as_dict().get("ansible_become"))


def _yes(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() not in ("", "false", "no", "off", "0", "n")
    return bool(value)


