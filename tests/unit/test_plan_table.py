"""The table of the deployment plan names nothing that is not there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).parents[2]
TABLE = (TOP / "docs/plan-table.md").read_text()
sys.path.append(str(TOP / "roles/tools/files"))


def named(pattern: str) -> list[str]:
    found = sorted(set(re.findall(pattern, TABLE)))
    assert found, f"{pattern} finds nothing in the table"
    return found


@pytest.mark.parametrize("path", named(r"(?:playbooks|inventories)/\w+\.yml"))
def test_a_file_that_the_table_names_is_there(path: str) -> None:
    assert (TOP / path).exists()


@pytest.mark.parametrize("tag", sorted({one for words in named(r"--tags ([\w,]+)") for one in words.split(",")}))
def test_a_tag_that_the_table_names_is_used(tag: str) -> None:
    texts = [path.read_text() for path in [*TOP.glob("playbooks/*.yml"), *TOP.glob("roles/*/tasks/*.yml")]]
    used = {one.strip() for text in texts for words in re.findall(r"tags: \[(.*)\]", text) for one in words.split(",")}
    assert tag in used


@pytest.mark.parametrize("name", named(r"-e '?\{?\"?([a-z]\w+)"))
def test_a_variable_that_the_table_names_has_a_default(name: str) -> None:
    assert any(name in yaml.safe_load(path.read_text()) for path in TOP.glob("roles/*/defaults/main.yml"))


@pytest.mark.parametrize("words", named(r"`checkup ([\w ]+)`"))
def test_a_check_that_the_table_names_exists(words: str) -> None:
    from personaplex_tools.checkup import CHECKS  # type: ignore[import-not-found]

    assert set(words.split()) <= CHECKS.keys()
