"""What a step was found to be, as a digest: by it a saved plan is held against the host."""

from __future__ import annotations

import json
from typing import Any, Dict, List

from personaplex_provision.agent.digests import sha256
from personaplex_provision.agent.kinds import secret_fields
from personaplex_provision.agent.record import fields
from personaplex_provision.agent.resource import Change, Resource, to_wire


def digest(resource: Resource, params: Dict[str, Any], now: Resource, changes: List[Change]) -> str:
    """The digest of all that observing found, less what comes and goes by itself (`fleeting`).

    Of a step with a secret only its other fields count, and which fields differ: a digest of what a secret may be
    part of would let it be guessed.
    """
    secret = secret_fields(params)
    found = {}
    for one in fields(now):
        hidden = one.name in secret or (secret and one.metadata.get("observed"))
        if not hidden and one.name not in resource.fleeting:
            found[one.name] = to_wire(getattr(now, one.name))
    text = json.dumps([found, sorted(one.field for one in changes)], sort_keys=True, default=str)
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]
