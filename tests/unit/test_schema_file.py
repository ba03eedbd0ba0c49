"""The schema that editors read beside the playbooks is the one the kinds give."""

from __future__ import annotations

import json
from pathlib import Path

from personaplex_provision.planning.jsonschema import playbook_schema

TOP = Path(__file__).parents[2]


def test_the_schema_in_the_repository_is_up_to_date() -> None:
    kept = json.loads((TOP / "schema.json").read_text(encoding="utf-8"))
    assert kept == json.loads(json.dumps(playbook_schema())), "run `make schema`"
