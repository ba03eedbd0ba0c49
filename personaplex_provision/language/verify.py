"""`verify:`: lists of read-only checks, each an item of one check kind with keywords of its own.

A check is written by its short name (`port:` for the kind `check_port`); `assert:` is one as well.
"""

from __future__ import annotations

from typing import Any

from personaplex_provision.errors import Position, suggestion
from personaplex_provision.language.keyword_places import parse_keywords, unknown_keyword
from personaplex_provision.language.keyword_types import describe, without
from personaplex_provision.language.keywords import KEYWORDS, REFUSED, REFUSED_AT, allowed, short_kind
from personaplex_provision.language.loader import Loader, Scope
from personaplex_provision.language.params import params_of
from personaplex_provision.language.source import Mapping, Sequence
from personaplex_provision.language.tree import Written

PREFIX = "check_"
"What the name of a check's kind begins with, left out in `verify:`."
_ALSO = ("assert",)
"Kinds that are checks as they are."


def replace_list(keywords: Mapping, scope: Scope, loader: Loader) -> None:
    """Turns the value of `verify`, if there is one, into the checks it lists."""
    if "verify" in keywords:
        keywords["verify"] = parse_checks(keywords["verify"], scope, loader, keywords.at("verify"))


def parse_checks(value: Any, scope: Scope, loader: Loader, position: Position) -> list[Written]:
    """The checks of a list; what is wrong goes to the findings."""
    if value is None:
        return []
    if not isinstance(value, Sequence):
        loader.findings.add(f"a list of checks is needed, not {describe(value)}", getattr(value, "position", position),
                            hint="each check starts with `- `")
        return []
    found = [_check(item, value.at(index), scope, loader) for index, item in enumerate(value)]
    return [one for one in found if one is not None]


def checks_known(loader: Loader) -> dict[str, str]:
    """Every name a check may be written by -> its kind."""
    kinds = loader.known_kinds()
    found = {name.removeprefix(PREFIX): name for name in kinds if name.startswith(PREFIX)}
    return {**found, **{name: name for name in kinds if name.startswith(PREFIX)}, **{name: name for name in _ALSO}}


def _check(item: Any, position: Position, scope: Scope, loader: Loader) -> Written | None:
    if not isinstance(item, Mapping):
        loader.findings.add(f"a check is a mapping, not {describe(item)}", position,
                            hint="write it as `kind: parameters`, for example `port: {port: 8998}`")
        return None
    known = checks_known(loader)
    kinds = [key for key in item if short_kind(key) in known]
    keys = [key for key in item if key not in kinds and (key in KEYWORDS or key in REFUSED)]
    wrong = [key for key in item if key not in kinds and key not in keys]
    for key in wrong:
        if kinds and short_kind(key) not in loader.known_kinds():
            unknown_keyword(key, item, "check", loader)
            continue
        near = suggestion(key, [*_short(known), *allowed("check")])
        if short_kind(key) in loader.known_kinds():
            near = near or "only checks stand under `verify:`, and this kind may change the host"
        loader.findings.add(f'no check is called "{key}"', item.key_at(key),
                            hint=near or f"the checks are: {', '.join(sorted(_short(known)))}")
    keywords = parse_keywords(item, keys, "check", loader)
    if len(kinds) > 1:
        loader.findings.add(f"the check has {len(kinds)} kinds: {', '.join(kinds)}", item.key_at(kinds[1]),
                            hint="make each a check of its own")
    elif not kinds and not wrong and not any((key, "check") in REFUSED_AT for key in keys):
        loader.findings.add("the check has no kind", item.position, f"it has only: {', '.join(item)}",
                            f"say what to look at: {', '.join(sorted(_short(known)))}")
    if len(kinds) != 1:
        return None
    key = kinds[0]
    params, args = params_of(item, key, keywords, loader)
    return Written(
        kind=known[short_kind(key)], params=params, name=str(keywords.get("name") or ""), position=item.position,
        kind_position=item.key_at(key), keywords=without(keywords, {"name"}), file=scope.file, role=scope.role,
        args=args, check=True,
    )


def _short(known: dict[str, str]) -> list[str]:
    return [name for name in known if not name.startswith(PREFIX)]
