"""The difference of two texts, however it is made."""

from __future__ import annotations

import difflib

from hypothesis import example, given, settings
from hypothesis import strategies as st

from personaplex_provision.agent.step import text_diff

TEXTS = st.lists(st.sampled_from(["a", "b", "", "+ c"]), max_size=5).map(lambda lines: "".join(f"{x}\n" for x in lines))


@settings(deadline=None)
@given(TEXTS, TEXTS)
@example("", "")
@example("", "one\n")
@example("one\ntwo\n", "")
def test_a_difference_is_the_unified_one_also_of_what_comes_to_be_or_goes(before: str, after: str) -> None:
    whole = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2))
    assert text_diff(before, after) == "\n".join(whole[2:])
