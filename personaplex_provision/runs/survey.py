"""What is in a play, found out once for all its hosts."""

from __future__ import annotations

from personaplex_provision.agent.record import dataclass
from personaplex_provision.language.playbook import handlers_of, nodes_of, roles_of
from personaplex_provision.language.tree import Play, Role, Written


@dataclass(frozen=True)
class Survey:
    """A play as far as it can be read before the run."""

    roles: list[Role]
    "Those it uses, in the order in which they first appear."
    kinds: frozenset[str]
    "Kinds of its tasks and handlers."
    become: list[object]
    "Every `become:` below the play's own, as written."


def survey(play: Play) -> Survey:
    """Walks through the play."""
    nodes = [*nodes_of(play), *handlers_of(play)]
    kinds = frozenset(node.kind for node in nodes if isinstance(node, Written))
    become = [node.keywords["become"] for node in nodes if "become" in node.keywords]
    return Survey(roles_of(play), kinds, become)
