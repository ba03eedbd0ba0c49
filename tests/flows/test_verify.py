"""Checks in playbooks: when they run, what they hold back, what they are told with, and `provision verify`."""

from __future__ import annotations

import re
import socket
import xml.etree.ElementTree as xml
from collections.abc import Iterator

import pytest

from personaplex_provision.cli.main import main
from tests.flows.conftest import Bench
from tests.proofs.canaries import seen


@pytest.fixture
def port() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_failing_check_holds_back_what_comes_after_its_step_and_gives_six(bench: Bench) -> None:
    bench.tasks("""
        tasks:
          - name: step
            copy: {dest: "{{ place }}/a", content: one}
            verify:
              - name: it says two
                file: {path: "{{ place }}/a", content: two}
                cause: somebody wrote one
                fix: write two
          - name: after
            copy: {dest: "{{ place }}/b", content: x}
    """)
    assert bench.apply() == 6
    assert bench.outcomes() == {"step": "changed", "it says two": "failed", "after": "blocked"}
    assert bench.files() == {"a": "one"}
    told = next(one["diagnostic"] for one in bench.events if one.get("outcome") == "failed")
    assert told["summary"].endswith("/a: content is one, and should be two")
    assert told["detail"] == "cause: somebody wrote one" and told["hint"] == "write two"


def test_a_run_that_only_a_check_failed_is_remembered_as_such(bench: Bench) -> None:
    bench.tasks("""
        tasks:
          - name: step
            copy: {dest: "{{ place }}/a", content: one}
            verify: [{file: "{{ place }}/nowhere"}]
          - name: broken
            requires: []
            when: broken | default(false) | bool
            command: "false"
    """)
    assert bench.apply() == 6
    assert bench.apply("-e", "broken=true", "--on-failure", "continue") == 4
    assert bench.run("runs") == 0
    assert [one["outcome"] for one in bench.events[-1]["localhost"]] == ["unverified", "failed"]


def test_a_step_that_fails_beside_a_check_gives_four(bench: Bench) -> None:
    bench.tasks("""
        tasks:
          - name: step
            copy: {dest: "{{ place }}/a", content: one}
            verify: [{file: "{{ place }}/nowhere"}]
          - name: broken
            requires: []
            command: "false"
    """)
    assert bench.apply("--on-failure", "continue") == 4


def test_on_failure_rollback_takes_back_what_could_not_be_verified(bench: Bench) -> None:
    bench.tasks("""
        tasks:
          - name: step
            copy: {dest: "{{ place }}/a", content: one}
            verify: [{file: "{{ place }}/nowhere"}]
    """, on_failure="rollback")
    assert bench.apply() == 3 and bench.files() == {}


def test_requires_waits_for_the_checks_and_a_rescue_sees_their_failure(bench: Bench) -> None:
    bench.tasks("""
        tasks:
          - block:
              - name: step
                copy: {dest: "{{ place }}/a", content: one}
                verify: [{name: wrong, file: {path: "{{ place }}/a", content: two}}]
            rescue:
              - name: rescued
                copy: {dest: "{{ place }}/rescued", content: "{{ ansible_failed_task.name }}"}
          - name: independent
            requires: []
            copy: {dest: "{{ place }}/c", content: c}
          - name: dependent
            requires: [independent]
            copy: {dest: "{{ place }}/d", content: d}
    """)
    assert bench.apply() == 0
    assert bench.files() == {"a": "one", "rescued": "wrong", "c": "c", "d": "d"}


def test_checks_have_the_loop_condition_and_variables_of_their_step(bench: Bench) -> None:
    bench.tasks("""
        tasks:
          - name: "file {{ item }}"
            vars: {word: hello}
            copy: {dest: "{{ place }}/{{ item }}", content: "{{ word }} {{ item }}"}
            loop: [a, b]
            when: item != "b"
            verify:
              - name: "text of {{ item }}"
                file: {path: "{{ place }}/{{ item }}", content: "{{ word }} {{ item }}"}
              - name: "never {{ item }}"
                when: item == "z"
                file: "{{ place }}/nowhere"
    """)
    assert bench.apply() == 0
    found = {name: outcome for name, outcome in bench.outcomes().items() if name.startswith(("text", "never"))}
    assert found == {"text of a [a]": "ok", "text of b [b]": "skipped", "never a [a]": "skipped",
                     "never b [b]": "skipped"}


def test_the_plan_lists_checks_and_runs_none(bench: Bench) -> None:
    bench.tasks("""
        tasks:
          - name: step
            copy: {dest: "{{ place }}/a", content: one}
            verify: [{name: check, command: {argv: [touch, "{{ place }}/ran"]}}]
    """)
    assert bench.plan() == {"step": "create", "check": "none"}
    entry = next(one for one in bench.events if one.get("name") == "check")
    assert entry["verify"] is True and entry["reason"] == "verified afterwards"
    assert bench.files() == {}
    assert bench.apply() == 0 and "ran" in bench.files()
    assert bench.plan("--detailed-exitcode") == {"step": "none", "check": "none"}


def test_a_check_is_repeated_until_it_holds(bench: Bench) -> None:
    bench.tasks("""
        tasks:
          - name: step
            shell: "(sleep 0.3; touch {{ place }}/late) >/dev/null 2>&1 &"
            verify: [{name: it comes, file: "{{ place }}/late", within: 20s, every: 0.05}]
    """)
    assert bench.apply() == 0 and bench.outcomes()["it comes"] == "ok"


def test_a_handlers_checks_run_only_with_the_handler(bench: Bench) -> None:
    bench.tasks("""
        tasks:
          - name: step
            copy: {dest: "{{ place }}/a", content: one}
            notify: "{{ 'told' if notified | default(false) else 'other' }}"
        handlers:
          - name: told
            copy: {dest: "{{ place }}/h", content: h}
            verify: [{name: handled, file: "{{ place }}/h"}]
          - name: other
            debug: {msg: x}
    """)
    assert bench.apply() == 0 and "handled" not in bench.outcomes()
    assert bench.apply("-e", '{"notified": true}') == 0 and "handled" not in bench.outcomes()  # nothing changed
    (bench.place / "a").unlink()
    assert bench.apply("-e", '{"notified": true}') == 0 and bench.outcomes()["handled"] == "ok"


def test_checks_of_roles_blocks_and_plays_come_last_in_them(bench: Bench) -> None:
    bench.write("roles/web/tasks/main.yml", """
        - name: in the role
          copy: {dest: "{{ place }}/r", content: "{{ word }}"}
    """)
    bench.write("roles/web/defaults/main.yml", "word: hi\n")
    bench.write("roles/web/verify/main.yml", """
        - name: of the role
          file: {path: "{{ place }}/r", content: "{{ word }}"}
    """)
    bench.tasks("""
        roles:
          - role: web
            verify: [{name: of the entry, file: "{{ place }}/r"}]
        tasks:
          - block:
              - name: in the block
                copy: {dest: "{{ place }}/b", content: b}
            verify: [{name: of the block, file: "{{ place }}/b"}]
        verify: [{name: of the play, file: "{{ place }}/b"}]
    """)
    assert bench.apply() == 0
    assert list(bench.outcomes()) == ["in the role", "of the role", "of the entry", "in the block", "of the block",
                                      "of the play"]


def test_verify_alone_changes_nothing_and_tells_by_its_exit_code(bench: Bench, port: int) -> None:
    bench.tasks("""
        tasks:
          - name: is it there
            stat: {path: "{{ place }}/a"}
            register: found
          - name: step
            copy: {dest: "{{ place }}/a", content: one}
            verify: [{name: content, file: {path: "{{ place }}/a", content: one}}]
          - name: said
            command: echo hello
            register: said
            verify:
              - {name: only a run knows, file: "{{ said.stdout }}"}
              - {name: a port, port: {port: "{{ number }}"}, tags: [milestone4]}
              - {name: probed, when: found.stat.exists, file: "{{ place }}/a"}
              - {name: seen, person: look, tags: [milestone4]}
    """)
    site, number = str(bench.folder / "site.yml"), ("-e", f"number={port}")
    assert bench.run("verify", site, *number) == 6
    assert bench.outcomes() == {"content": "failed", "only a run knows": "skipped", "a port": "ok",
                                "probed": "skipped", "seen": "skipped"}
    assert bench.files() == {}
    (bench.place / "a").write_text("one")
    assert bench.run("verify", site, *number) == 0
    assert bench.outcomes()["probed"] == "ok"
    assert bench.run("verify", site, *number, "--tags", "milestone4") == 0
    assert set(bench.outcomes()) == {"a port", "seen"}


def test_milestones_and_junit_say_what_holds_what_does_not_and_what_a_person_must_do(
    bench: Bench, port: int, capsys: pytest.CaptureFixture[str],
) -> None:
    bench.tasks("""
        tasks:
          - name: step
            debug: {msg: x}
            verify:
              - {name: listens, port: {port: "{{ number }}"}, tags: [milestone1]}
              - {name: "gone & lost", file: "{{ place }}/nowhere", fix: make it, tags: [milestone2]}
              - {name: heard, person: Listen., tags: [milestone4]}
    """)
    report = bench.folder / "report.xml"
    assert main(["verify", str(bench.folder / "site.yml"), "-e", f"number={port}", "--milestones", "--junit",
                 str(report)]) == 6
    said = capsys.readouterr().out
    assert "✓ Milestone 1: environment ready\n  ✓ listens\n" in said
    assert "✗ Milestone 2: PersonaPlex installed\n  ✗ gone & lost: " in said and "fix: make it" in said
    assert "- Milestone 3: offline testing complete: no check" in said
    assert "☐ Milestone 4: real-time testing complete\n  ☐ heard: needs a person: Listen." in said
    suite = xml.parse(report).getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    assert [one.get("name") for one in suite] == ["listens", "gone & lost", "heard"]


def test_a_wrong_matcher_is_told_where_it_stands(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.tasks("""
        tasks:
          - name: step
            debug: {msg: x}
            verify:
              - disk: {path: /, free_gib: {gte: 1}}
              - interpreter: {version: {ge: 3.10}}
              - file: {path: relative}
              - uri: {url: "http://127.0.0.1/", status: {matches: "("}}
    """)
    assert main(["validate", str(bench.folder / "site.yml")]) == 65
    said = capsys.readouterr().err
    assert 'site.yml:8:37: error: check_disk: free_gib has no matcher "gte"; write "ge"' in said
    assert re.search(r"site.yml:9:\d+: error: check_interpreter: version is a version: write it in quotes", said)
    assert "check_file: path must be absolute" in said
    assert "check_uri: status: matches is no regular expression" in said


def test_a_play_that_cannot_be_compiled_while_planning_does_not_keep_the_next_one_waiting(bench: Bench) -> None:
    bench.write("site.yml", """
        - hosts: localhost
          tasks:
            - {name: ask, command: nosuch-program, changed_when: false, ignore_errors: true, register: asked}
            - {name: use, copy: {dest: /nowhere, content: "{{ asked.stdout }}"}}
        - hosts: localhost
          tasks:
            - {name: other, stat: {path: /}}
    """)
    assert bench.run("plan", str(bench.folder / "site.yml")) == 65
    assert any('no key "stdout"' in str(one.get("summary")) for one in bench.events)


def test_a_probe_that_fails_leaves_only_its_own_checks_untold(bench: Bench) -> None:
    bench.tasks("""
        tasks:
          - {name: ask, command: nosuch-program, changed_when: false, register: asked}
          - name: step
            stat: {path: /}
            verify:
              - {name: untold, file: "/{{ asked.stdout }}"}
              - {name: told, file: /}
    """)
    assert bench.run("verify", str(bench.folder / "site.yml")) == 0
    assert bench.outcomes() == {"untold": "skipped", "told": "ok"}


def test_alone_checks_look_once_since_nothing_was_done_to_wait_for(bench: Bench) -> None:
    bench.tasks("""
        tasks:
          - name: step
            debug: {msg: x}
            verify: [{name: never, file: "{{ place }}/nowhere", within: 10m}]
    """)
    assert bench.run("verify", str(bench.folder / "site.yml")) == 6


def test_any_task_says_what_its_failure_means_and_what_to_do_while_planning_too(bench: Bench) -> None:
    bench.tasks("""
        tasks:
          - name: room
            check_disk: {path: "{{ place }}", free_gib: {ge: 100000000}}
            cause: "the disk of {{ inventory_hostname }} is small"
            fix: buy another
          - name: fails
            requires: []
            command: "false"
            fix: do not do that
    """)
    assert bench.run("plan", str(bench.folder / "site.yml")) == 10
    told = next(one for one in bench.events if one["type"] == "diagnostic")
    assert (told["detail"], told["hint"]) == ("cause: the disk of localhost is small", "buy another")
    bench.tasks("""
        tasks: [{name: fails, command: "false", fix: do not do that}]
    """)
    assert bench.apply() == 4
    assert next(one for one in bench.events if one.get("outcome") == "failed")["diagnostic"]["hint"] == "do not do that"


def test_a_plan_shows_what_debug_will_say_and_what_it_knows_of_it(bench: Bench) -> None:
    bench.tasks("""
        tasks:
          - {name: greeting, debug: {msg: "hello {{ inventory_hostname }}"}}
          - {name: quiet, debug: {msg: unheard, verbosity: 1}}
          - {name: step, copy: {dest: "{{ place }}/a", content: one}}
    """)
    assert bench.text("plan") == 0
    assert "  greeting: hello localhost\n" in bench.out and "unheard" not in bench.out


CANARY = "can/ary+verify=%7&?z"


def test_a_check_betrays_no_secret_it_was_given_or_found(
    bench: Bench, capsys: pytest.CaptureFixture[str], port: int,
) -> None:
    bench.write("key", "of the vault\n")
    secrets = bench.write("secrets.yml", f"token: '{CANARY}'\n")
    assert main(["vault", "encrypt", "--vault-password-file", "key", str(secrets)]) == 0
    bench.tasks("""
        tasks:
          - name: step
            debug: {msg: x}
            verify:
              - name: found in a file
                file: {path: "{{ place }}/seen", content: {equals: other}}
              - name: wanted of a file
                file: {path: "{{ place }}/other", content: {contains: "{{ token }}"}}
              - name: said by a command
                command: {argv: [sh, -c, 'cat; cat >&2 < "$1"; exit 3', x, "{{ place }}/seen"], stdin: "{{ token }}"}
              - name: in the argument of a command
                command: {argv: ["false", "{{ token }}"]}
              - name: in an address and a header
                uri:
                  url: "http://127.0.0.1:{{ number }}/{{ token | urlencode }}?key={{ token | urlencode }}"
                  headers: {Authorization: "Bearer {{ token }}"}
                  timeout: 0.3
              - name: "advised {{ token }}"
                file: /nowhere
                cause: "it is {{ token }}"
                fix: "use {{ token | b64encode }}"
              - name: of a hub
                hub_gate: {repo: o/m, endpoint: "http://127.0.0.1:1", token: "{{ token }}"}
    """, vars_files="[secrets.yml]", tags="[milestone1]")
    (bench.place / "seen").write_text(CANARY)
    (bench.place / "other").write_text("x")
    site, report = str(bench.folder / "site.yml"), bench.folder / "report.xml"
    words = [site, "-e", f"number={port}", "--vault-password-file", "key", "--junit", str(report)]
    said = {}
    for way in ("--milestones", "-vv", "--json"):
        assert main(["verify", *words, way]) == 6
        told = capsys.readouterr()
        said[way] = told.out + told.err
        said[f"junit beside {way}"] = report.read_text()
    assert said["--json"].count('"outcome":"failed"') == 7
    for way, text in said.items():
        assert seen(text.encode(), [CANARY]) == [], way
