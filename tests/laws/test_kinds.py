"""What every kind has: cases, documentation, an example that validates, and no unknown parameter accepted."""

from __future__ import annotations

import pytest
import yaml

from personaplex_provision.errors import InvalidError
from personaplex_provision.planning import schema
from personaplex_provision.planning.documentation import field_texts, render_kind
from personaplex_provision.planning.kinds import kind_names, load_kind, load_module
from personaplex_provision.planning.validator import parameters
from tests.laws.collect import cases

KINDS = sorted(kind_names())


FOR_ITSELF = {
    "fail": "it fails, always, and so keeps no law",
    **dict.fromkeys(("check_download", "check_http_tls", "check_hub_gate", "check_uri", "check_websocket",
                     "check_wheel"),
                    "what answers is a server"),
}
"Kinds without cases, and why."


@pytest.mark.parametrize("kind", [one for one in KINDS if one not in FOR_ITSELF])
def test_a_kind_has_cases(kind: str) -> None:
    assert any(one.kind == kind for one in cases()), f"tests/laws/cases/{kind}.py has no case"


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_documented(kind: str) -> None:
    texts = field_texts(load_kind(kind))
    assert [name for name in parameters(load_kind(kind)) if not texts.get(name)] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_page_says_how_it_is_rolled_back(kind: str) -> None:
    page = render_kind(kind)
    assert load_kind(kind).reversible in page and kind in page


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_is_valid(kind: str) -> None:
    tasks = yaml.safe_load(load_module(kind).EXAMPLE)
    assert any(kind in task for task in tasks)
    for task in tasks:
        for name in set(task) & set(KINDS):
            schema.check_static(name, task[name])


@pytest.mark.parametrize("kind", [one for one in KINDS if not load_kind(one).open_ended])
def test_an_unknown_parameter_is_refused(kind: str) -> None:
    with pytest.raises(InvalidError, match="no parameter"):
        schema.check_static(kind, {"no_such_parameter": "x"})
