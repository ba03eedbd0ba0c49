"""`provision doc verify`: how checks are written, and which there are."""

from __future__ import annotations

import textwrap

from personaplex_provision.language.keywords import KEYWORDS, allowed
from personaplex_provision.language.verify import PREFIX
from personaplex_provision.planning.kinds import kind_names

_TEXT = """\
verify: checks that what was done holds.

`verify:` is a list of checks. It stands at a task, a handler, a block, an entry of `roles:` or a play, or, for a
whole role, in `roles/NAME/verify/main.yml`. A check only reads. It runs after what it stands at, with the condition,
loop, variables, tags and privileges of it, and what comes after the step comes after the check too.

A check that does not hold fails like a task: what requires its step is not started, `rescue` and `on_failure` apply.
When nothing but checks failed, the exit code is 6. A plan lists checks and does not run them: what they look at is
not there yet. A run without changes does not run them either; `provision verify PLAYBOOK` runs them all, changes
nothing, looks once, and ends with 0 or 6 (`--json`, `--junit FILE`, `--milestones`, `--tags`).
"""
_MATCHERS = """\
A field that wants something of what was found takes a value, which must be equal, or a mapping of matchers, which
must all hold. Numbers are compared as numbers. Versions are text in quotes, compared as far as the wanted one goes
(3.12.4 is `le: "3.12"`)."""
_ROWS = (
    ("equals", "the same value"), ("contains", "text with this in it, or a list with this item"),
    ("matches", "a regular expression that is found"), ("lt le gt ge", "less, at most, more, at least"),
    ("between", "[least, most], both included"),
)
_KEYWORDS = (
    ("within", "how long a check that does not hold is repeated (`60s`, `2m`); once, when left out"),
    ("every", "time between two looks; a second when left out"),
    ("cause", "what a failure usually means; told with it"),
    ("fix", "what to do then"),
)
_EXAMPLE = """\
- name: the server runs
  systemd_service: {name: personaplex, state: started}
  verify:
    - name: the web UI answers over TLS
      http_tls:
        url: https://localhost:8998/
        ca_path: /opt/personaplex/tls/cert.pem
        status: {equals: 200}
      within: 2m
      cause: the model is loaded before the server listens
      fix: "journalctl -u personaplex -n 50"
      tags: [milestone4]
    - name: it listens on this machine alone
      port: {port: 8998, addresses: [127.0.0.1]}
    - name: the answer can be heard
      person: Open the web UI, press connect and speak.
      tags: [milestone4]
"""


def render_verify(width: int = 100) -> str:
    """The page as text of `width` columns."""
    from personaplex_provision.planning.documentation import document

    lines = [part for text in _TEXT.split("\n\n") for part in (*textwrap.wrap(text, width), "")]
    lines += ["MATCHERS", *_indented(_MATCHERS, width)]
    lines += [f"  {name:<12} {text}" for name, text in _ROWS]
    lines += ["", "KEYWORDS", *(f"  {name:<12} {text}" for name, text in _KEYWORDS)]
    others = sorted(one for one in allowed("check") if one not in dict(_KEYWORDS) and one in KEYWORDS)
    lines += _indented(f"and {', '.join(others)}, as everywhere", width)
    lines += ["", "CHECKS"]
    kinds = sorted(one for one in kind_names() if one.startswith(PREFIX))
    lines += [f"  {one.removeprefix(PREFIX):<14} {document(one).summary}" for one in kinds]
    lines += [f"  {'assert':<14} {document('assert').summary}"]
    lines += _indented(
        "`provision doc check_port` shows the parameters of one. As a task a check is written by its full name, "
        "`check_port:`; then it runs while planning too, and refuses the plan when it does not hold.",
        width)
    return "\n".join([*lines, "", "EXAMPLE", textwrap.indent(_EXAMPLE, "  ").rstrip()]) + "\n"


def _indented(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="  ")
