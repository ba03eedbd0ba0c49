"""The keywords of one play, task or entry: those that may stand there, and what is said of the others."""

from __future__ import annotations

from personaplex_provision.errors import suggestion
from personaplex_provision.language.keyword_types import check, like, put
from personaplex_provision.language.keywords import KEYWORDS, LOOKUPS, PLACES, REFUSED, REFUSED_AT, allowed
from personaplex_provision.language.loader import Loader
from personaplex_provision.language.source import Mapping


def unknown_keyword(key: str, item: Mapping, place: str, loader: Loader) -> None:
    """Reports a key that `place` does not know."""
    names = [*allowed(place), *(f"with_{one}" for one in LOOKUPS if "loop" in allowed(place))]
    loader.findings.add(f'{PLACES[place]} has no keyword "{key}"', item.key_at(key),
                        hint=suggestion(key, names) or f'if "{key}" is a parameter, indent it below the kind'
                        if place in ("task", "handler") else suggestion(key, names))


def parse_keywords(item: Mapping, keys: list[str], place: str, loader: Loader) -> Mapping:
    """The keywords among `keys` of `item` that may stand in `place` and are of the right type."""
    found = like(item)
    for key in keys:
        at_task = "task" if place == "handler" else place
        if key in REFUSED:
            reason, hint = REFUSED[key]
            loader.findings.add(f'"{key}" is left out: {reason}', item.key_at(key), hint=hint)
        elif key not in KEYWORDS:
            misplaced(key, item, place, loader)
        elif place not in KEYWORDS[key].places:
            hint = REFUSED_AT.get((key, at_task), "")
            shown = [one for one in PLACES if one in KEYWORDS[key].places and one not in ("apply", "check")]
            places = ", ".join(PLACES[one] for one in shown) or PLACES["check"]
            loader.findings.add(f'{PLACES[place]} cannot have "{key}"', item.key_at(key),
                                f"it may stand in: {places}", hint)
        else:
            good, value = check(key, item, loader.findings)
            if good:
                put(found, key, value, item)
    return found


def misplaced(key: str, item: Mapping, place: str, loader: Loader) -> None:
    """Reports a key that is no keyword, or one that people put into `place` though it belongs elsewhere."""
    if (key, place) in REFUSED_AT:
        loader.findings.add(f'{PLACES[place]} cannot have "{key}"', item.key_at(key), hint=REFUSED_AT[key, place])
    elif key.startswith("with_") and place in ("block", "import"):
        loader.findings.add(f'{PLACES[place]} cannot have "{key}"', item.key_at(key), hint=REFUSED_AT["loop", place])
    else:
        unknown_keyword(key, item, place, loader)
