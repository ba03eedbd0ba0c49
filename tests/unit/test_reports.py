"""Reports: what they count, what they leave out, and that nothing a host says can reach the terminal raw."""

from __future__ import annotations

import io
import json
import threading

import pytest

from personaplex_provision.reports import difference, numbers
from personaplex_provision.reports.jsonlines import JsonLines
from personaplex_provision.reports.lines import Lines
from personaplex_provision.reports.live import Live
from personaplex_provision.reports.plain import Plain
from personaplex_provision.reports.plan import question, render
from personaplex_provision.reports.planned import Planned
from personaplex_provision.reports.progress import Progress
from personaplex_provision.reports.style import Style, clean, coloured, one_line
from personaplex_provision.reports.summary import render as render_summary
from personaplex_provision.reports.view import open_view
from tests.unit import events


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def planned(*streams: list[events.Event]) -> Planned:
    found = Planned()
    for stream in streams:
        for one in stream:
            found(one)
    return found


def test_hosts_with_equal_plans_are_grouped_and_a_different_one_is_not() -> None:
    other = [*events.plan("c"), events.planned("c", "One more", "file", "create")]
    groups = planned(events.plan("a"), other, events.plan("b")).groups()
    assert [[host.name for host in group] for group in groups] == [["a", "b"], ["c"]]


def test_totals_count_every_host() -> None:
    totals = planned(events.plan("a"), events.plan("b"), events.unreachable("c")).totals()
    assert dict(totals.actions) == {"create": 2, "update": 4, "delete": 2, "run": 2, "unknown": 2}
    assert dict(totals.classes) == {"exact": 8, "best-effort": 2, "irreversible": 2}
    assert (totals.same, totals.skipped, totals.hosts, totals.unreachable) == (2, 2, 2, 1)


def test_an_undecided_step_that_would_be_irreversible_is_counted_as_that() -> None:
    totals = planned([events.planned("a", "x", "command", "unknown", reversible="irreversible")]).totals()
    assert totals.irreversible == 1


def test_the_question_names_changes_hosts_and_what_cannot_be_undone() -> None:
    assert question(planned(events.plan("a")).totals()) == (
        "5 to change, 1 to decide on 1 host, 1 cannot be undone"
    )


def test_a_plan_without_changes_says_so_and_lists_no_task() -> None:
    text = render(planned([events.planned("a", "x", "file", "none")]), Style())
    assert text == "No changes. 1 host as described, 1 task in state.\n"


def test_a_task_that_will_fail_shows_its_hint() -> None:
    entry = events.planned("a", "x", "copy", "unknown", reason="as things stand this will fail: no folder",
                           problem="no folder", hint="make it first")
    text = render(planned([entry]), Style())
    assert "as things stand this will fail: no folder" in text
    assert "hint: make it first" in text


def test_a_long_text_difference_is_cut_unless_more_is_asked_for() -> None:
    preview = "\n".join(f"+line {number}" for number in range(100))
    found = planned([events.planned("a", "x", "copy", "update", preview=preview)])
    assert "… 60 more lines" in render(found, Style(), 0)
    assert "+line 99" in render(found, Style(), 1)


def test_what_is_known_only_after_applying_says_so() -> None:
    assert "(known after apply)" in render(planned([events.planned("a", "x", "copy", "unknown")]), Style())


@pytest.mark.parametrize(("raw", "seen"), [
    ("\x1b[31mred\x1b[0m", "red"),
    ("\x1b]0;title\x07text", "text"),
    ("10%\r50%\r100%", "100%"),
    ("a\r\nb", "a\nb"),
    ("bell\x07 null\x00 c1\x9b31m", "bell null c131m"),
    ("tab\tstays", "tab\tstays"),
])
def test_text_from_a_host_loses_what_a_terminal_would_obey(raw: str, seen: str) -> None:
    assert clean(raw) == seen


def test_no_event_can_write_an_escape_code_into_plain_lines() -> None:
    evil = "\x1b[2J\x1b]52;c;aGk=\x07x"
    stream = io.StringIO()
    view = Plain(stream, Lines(Style(), 2))
    kinds = ("task_start", "task_output", "task_progress", "task_end", "diagnostic", "rollback_task", "handler_owed")
    for kind in kinds:
        view(events.event(kind, "h", task=evil, name=evil, line=evil, text=evil, outcome="failed", reason=evil,
                          summary=evil, detail=evil, hint=evil, handlers=[evil], message=evil, kind="debug",
                          preview=evil, diff=[{"field": evil, "before": evil, "after": evil}],
                          diagnostic={"summary": evil, "detail": evil}))
    assert stream.getvalue().count("x") > 10
    assert "\x1b" not in stream.getvalue() and "\x07" not in stream.getvalue()


def test_no_plan_can_write_an_escape_code() -> None:
    evil = "\x1b[2Jx"
    entry = events.planned("h", evil, evil, "update", reason=evil, preview=evil, problem=evil, detail=evil, hint=evil,
                           diff=[{"field": evil, "before": evil, "after": [evil]}])
    assert "\x1b" not in render(planned([entry]), Style(), 1)


@pytest.mark.parametrize(("environment", "wanted"), [
    ({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"CI": "true"}, False), ({"CI": "false"}, True),
    ({"TERM": "dumb"}, False),
])
def test_colour_needs_a_terminal_that_nobody_asked_to_be_plain(environment: dict[str, str], wanted: bool) -> None:
    assert coloured(Terminal(), environment) is wanted
    assert not coloured(io.StringIO(), environment)
    assert not coloured(Terminal(), environment, allowed=False)


def test_the_view_is_live_only_where_colours_are_wanted() -> None:
    assert isinstance(open_view(Terminal(), Style(True), Progress()), Live)
    assert isinstance(open_view(Terminal(), Style(False), Progress()), Plain)
    assert isinstance(open_view(Terminal(), Style(True), Progress(), verbosity=-1), Plain)


def test_quiet_shows_failures_and_nothing_else() -> None:
    told = Lines(Style(), -1)
    lines = [line for one in [*events.plan("h"), *events.applied("h")] for line in told(one)]
    assert lines[0] == "h: failed: Build (1m02s)"
    assert all(line.startswith(" ") for line in lines[1:])


def test_progress_is_told_now_and_then_and_not_for_every_event(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("personaplex_provision.reports.lines.time.monotonic", lambda: now)
    told = Lines(Style())
    told(events.event("task_start", "h", task="t", name="Fetch"))
    lines = []
    for second in range(60):
        now = float(second)
        lines += told(events.event("task_progress", "h", task="t", name="Fetch", done=second << 20, total=60 << 20))
    assert len(lines) == 11
    assert lines[-1] == "h: Fetch: 55.0 MiB of 60.0 MiB"


def test_json_lines_begin_alike_and_are_whole_when_many_threads_write() -> None:
    stream = io.StringIO()
    report = JsonLines(stream)

    def write() -> None:
        for _ in range(50):
            report(events.event("task_output", "h", task="t", line="ü" * 200))

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(found) == 400
    assert list(found[0])[:6] == ["schema", "ts", "run", "type", "host", "task"]


def test_the_state_of_a_host_follows_its_events() -> None:
    progress = Progress()
    for one in [*events.plan("h"), *events.applied("h")[:5]]:
        progress(one)
    host = progress.hosts["h"]
    assert (host.phase, host.pending, host.counts["changed"]) == ("applying", 6, 1)
    running = host.running["Build"]
    assert (running.done, running.total, running.text) == (3.0, 10.0, "crates")


@pytest.mark.parametrize(("code", "words"), [
    (0, "Done."), (3, "rolled back completely"), (4, "provision resume 2026"), (5, "could not be reached"),
    (9, "a person is needed"), (130, "Interrupted."),
])
def test_the_last_words_say_what_to_do_next(code: int, words: str) -> None:
    progress = Progress()
    progress(events.summary(code, h={"changed": 1}))
    assert words in render_summary(progress, Style())


def test_a_rollback_counts_what_was_taken_back_and_nothing_else() -> None:
    progress = Progress()
    for outcome in ("changed", "changed", "skipped"):
        progress(events.event("rollback_task", "h", task=outcome, name="x", outcome=outcome))
    progress(events.event("host_end", "h", phase="rollback", exit=0))
    progress(events.summary(0, h={}))
    assert render_summary(progress, Style()).startswith("host   undone\nh           2\nTaken back. 2 steps in ")


def test_a_reader_that_goes_away_does_not_end_the_run() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(text)

    for report in (JsonLines(Closed()), Plain(Closed(), Lines(Style()))):
        report(events.ended("h", "x", "ok"))
        report(events.ended("h", "y", "ok"))


def test_many_hosts_are_summed_up_and_only_those_that_failed_are_listed() -> None:
    progress = Progress()
    counts = {f"n{number}": {"ok": 1} for number in range(30)}
    progress(events.summary(4, **counts, bad={"failed": 1}))
    text = render_summary(progress, Style())
    assert "bad " in text and "n3 " not in text
    assert "30 hosts done without a failure" in text


def test_a_live_view_leaves_the_terminal_as_it_was() -> None:
    stream, progress = Terminal(), Progress()
    view = Live(stream, Lines(Style(True), live=True), progress)
    for one in [*events.plan("h"), *events.applied("h")]:
        progress(one)
        view(one)
    view.say("said by us")
    view.close()
    text = stream.getvalue()
    assert "Build" in text and "said by us" in text
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l")


@pytest.mark.parametrize(("value", "text"), [(0.04, "0.0s"), (9.96, "10s"), (75, "1m15s"), (7380, "2h03m")])
def test_durations_are_short(value: float, text: str) -> None:
    assert numbers.seconds(value) == text


@pytest.mark.parametrize(("value", "text"), [(512, "512 B"), (1536, "1.5 KiB"), (5 << 40, "5.0 TiB")])
def test_sizes_are_in_binary_units(value: int, text: str) -> None:
    assert numbers.size(value) == text


def test_values_are_shortened_and_marks_are_not_quoted() -> None:
    assert difference.value("(secret token)") == "(secret token)"
    assert difference.value(["a", 1]) == '["a", 1]'
    assert len(difference.value("x" * 500)) == difference.WIDTH
    assert one_line("a\n  b", 3) == "a b"


def test_events_that_came_together_show_what_each_by_itself_shows() -> None:
    usual = ("plan_task", "task_start", "task_output", "task_end")
    story = [one for one in [*events.plan("a"), *events.applied("a")] if one["type"] in usual]
    assert len(story) > 5
    apart, together = (io.StringIO(), io.StringIO())
    states = Progress(), Progress()
    plans = Planned(), Planned()
    one, all_ = Plain(apart, Lines(Style(), 1)), Plain(together, Lines(Style(), 1))
    for event in story:
        one(event)
        states[0](event)
        plans[0](event)
    all_.together(story)
    states[1].together(story)
    plans[1].together(story)
    assert apart.getvalue() == together.getvalue() != ""
    assert [[host.counts, host.planned, host.pending] for host in states[0].hosts.values()] == [
        [host.counts, host.planned, host.pending] for host in states[1].hosts.values()]
    assert {name: host.entries for name, host in plans[0].hosts.items()} == {
        name: host.entries for name, host in plans[1].hosts.items()}


def test_hosts_that_take_turns_in_two_plans_are_two_groups_and_each_shows_its_own() -> None:
    def entry(host: str, text: str) -> events.Event:
        return {"type": "plan_task", "host": host, "task": "a", "name": "a", "kind": "copy", "action": "update",
                "diff": [{"field": "mode", "before": None, "after": text}]}

    plan = Planned()
    for number in range(6):
        plan(entry(f"h{number}", ("0600", "0644")[number % 2]))
    assert [[host.name for host in group] for group in plan.groups()] == [["h0", "h2", "h4"], ["h1", "h3", "h5"]]
    text = render(plan, Style())
    assert text.count('"0600"') == 1 and text.count('"0644"') == 1


def test_of_a_long_critical_path_the_ends_are_named_unless_more_is_asked_for() -> None:
    chain = [f"step {number}" for number in range(30)]
    text = render(planned(events.plan("a")), Style(), chains={"a": chain})
    assert "critical path (30 steps): step 0 → " in text and text.rstrip().count("step 29") == 1
    assert "… 18 more (-v shows them) …" in text and "step 15" not in text
    assert "step 15" in render(planned(events.plan("a")), Style(), 1, chains={"a": chain})
