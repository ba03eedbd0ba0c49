"""Functions a template can call: lookups, the time, a way to demand a value."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from personaplex_provision.errors import ProvisionError
from personaplex_provision.language import lazy
from personaplex_provision.language.boxes import CURRENT, Absent, Boxed, Missing
from personaplex_provision.language.engine import UseError, boxed, error_text
from personaplex_provision.language.lookups import STRUCTURAL, run_lookup
from personaplex_provision.language.values import Pending


def query(name: str, *terms: Any, errors: str = "strict", wantlist: bool = True, **options: Any) -> Any:  # noqa: ARG001
    """What a lookup finds, as a list. `errors` is strict, warn or ignore."""
    found = _found(name, terms, errors, options)
    return [] if found is None else found


def lookup(name: str, *terms: Any, errors: str = "strict", wantlist: bool = False, **options: Any) -> Any:
    """What a lookup finds: the one value, or texts joined by commas; a list with `wantlist`."""
    found = _found(name, terms, errors, options)
    if wantlist:
        return [] if found is None else found
    if found is None:
        return None
    if len(found) == 1:
        return found[0]
    if all(isinstance(one, (str, Boxed)) for one in found):
        return ",".join([lazy.text(one) for one in found])
    return found


def _found(name: str, terms: tuple[Any, ...], errors: str, options: dict[str, Any]) -> list[Any] | None:
    frame = CURRENT.get()
    if frame is None:
        raise UseError("lookups work inside a template only")
    short = name.rpartition(".")[2]
    reveal = short not in STRUCTURAL
    try:
        given = [lazy.plain(one, reveal=reveal) for one in terms]
        keys = {key: lazy.plain(one, reveal=reveal) for key, one in options.items()}
        return [boxed(one) for one in run_lookup(short, given, keys, frame)]
    except (Absent, Pending):
        raise
    except Exception as error:
        if errors in ("ignore", "warn"):
            return None
        raise UseError(f'the lookup "{name}" failed: {_told(error)}') from error


def _told(error: Exception) -> str:
    if isinstance(error, ProvisionError):
        one = error.diagnostics[0]
        more = "; ".join(part for part in (one.detail.replace("\n", ", "), one.hint) if part)
        return f"{one.summary} ({more})" if more else one.summary
    return error_text(error)


def now(utc: bool = False, fmt: str | None = None) -> Any:
    """The time, or its text in a `strftime` format."""
    moment = datetime.now(timezone.utc).replace(tzinfo=None) if utc else datetime.now()
    return moment.strftime(fmt) if fmt else moment


def undef(hint: str = "this has to be given a value") -> Missing:
    """A value that is not defined, for defaults which have to be overridden; `hint` is the message."""
    return Missing(hint=hint)


def all_functions() -> dict[str, Any]:
    """Every function by name."""
    return {"lookup": lookup, "query": query, "q": query, "now": now, "undef": undef}
