"""An earlier edit undone on today's text: where it can be it is exact, where it is not certain it is refused."""

from __future__ import annotations

import random

import pytest

from personaplex_provision.agent.merge import undone

BESIDE = [
    ("a line that was added, and one behind it", "a\nmine\ntheirs\n", "a\nmine\n", "a\n", "a\ntheirs\n"),
    ("a line that was added, and one before all", "theirs\na\nmine\n", "a\nmine\n", "a\n", "theirs\na\n"),
    ("a line that was changed, and another", "A\nb\nc\nD\n", "a\nb\nc\nD\n", "a\nb\nc\nd\n", "A\nb\nc\nd\n"),
    ("a line that was removed, and one apart", "a\nc\nd\nnew\n", "a\nc\nd\n", "a\nb\nc\nd\n", "a\nb\nc\nd\nnew\n"),
    ("two places", "one\nx\ntwo\ny\nnew\n", "one\nx\ntwo\ny\n", "x\ny\n", "x\ny\nnew\n"),
    ("nobody else", "a\nb\n", "a\nb\n", "a\n", "a\n"),
]

UNCERTAIN = [
    ("the line itself was changed", "a\nMINE\n", "a\nmine\n", "a\n"),
    ("another stands where the removed one was", "a\nnew\nc\n", "a\nc\n", "a\nb\nc\n"),
    ("the same line is there twice", "x\nx\n", "x\n", ""),
    ("somebody removed it", "a\n", "a\nmine\n", "a\nother\n"),
    ("somebody wrote everything anew", "quite\ndifferent\n", "a\nmine\n", "a\n"),
]


@pytest.mark.parametrize(("what", "now", "after", "before", "wanted"), BESIDE, ids=lambda one: str(one)[:40])
def test_an_edit_beside_another_is_undone_and_the_other_stays(
    what: str, now: str, after: str, before: str, wanted: str
) -> None:
    assert undone(now, after, before) == wanted, what


@pytest.mark.parametrize(("what", "now", "after", "before"), UNCERTAIN, ids=lambda one: str(one)[:40])
def test_where_the_place_is_not_certain_nothing_is_undone(what: str, now: str, after: str, before: str) -> None:
    assert undone(now, after, before) is None, what


def test_the_fields_of_a_table_belong_to_different_people() -> None:
    now, after, before = "video:x:44:ann,bob,eve\n", "video:x:44:ann,bob\n", "video:x:44:ann\n"
    assert undone(now, after, before) is None
    assert undone(now, after, before, table=True) == "video:x:44:ann,eve\n"


def test_two_edits_that_do_not_meet_commute() -> None:
    """Undoing the first of two edits gives what the second alone would have made, or nothing."""
    chance, answered = random.Random(1), 0
    for _ in range(400):
        before = [f"line {number}\n" for number in range(12)]
        mine, theirs = chance.sample(range(12), 2)
        first, second = edit(chance, mine, "mine"), edit(chance, theirs, "theirs")
        after, now, wanted = before[:], before[:], before[:]
        for text, edits in ((after, [first]), (now, [first, second]), (wanted, [second])):
            for at, lines in sorted(edits, reverse=True):
                text[at : at + 1] = lines
        found = undone("".join(now), "".join(after), "".join(before))
        assert found in (None, "".join(wanted)), (before, after, now)
        answered += found is not None
    assert answered > 300


def edit(chance: random.Random, at: int, word: str) -> tuple[int, list[str]]:
    """A line that is changed, removed, or gets another one behind it."""
    return at, chance.choice([[f"{word}\n"], [], [f"line {at}\n", f"{word}\n"]])
