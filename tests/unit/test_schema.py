"""What users write becomes a resource, or every mistake in it is told at its place."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.agent.values import Blob, Secret
from personaplex_provision.errors import InvalidError
from personaplex_provision.language import source
from personaplex_provision.language.values import Unknown
from personaplex_provision.planning import schema
from personaplex_provision.planning.coerce import Stock
from personaplex_provision.planning.kinds import kind_names, load_kind

KIND = '''
from __future__ import annotations
from dataclasses import dataclass, field
from typing import Any, Dict, List, Literal, Optional, Union
from personaplex_provision.agent.resource import Resource, observed
from personaplex_provision.agent.values import Blob, Secret

EXAMPLE = """
- gadget: {path: /etc/gadget}
"""

@dataclass
class Gadget(Resource):
    "A thing with every type of field."
    kind = "gadget"
    aliases = {"dest": "path", "content_text": "content"}
    free_form = "path"

    path: str
    "Where."
    mode: str | None = None
    "Bits."
    version: str = ""
    "Text."
    content: Blob | None = None
    "Content."
    password: Secret | None = None
    "Password."
    token: str | Secret | None = None
    "Text or secret."
    count: Optional[int] = None
    "Number."
    ratio: float = 1.0
    "Share."
    enabled: bool | None = None
    "Switch."
    upgrade: Union[bool, Literal["dist", "safe"]] = False
    "Switch or word."
    port: Union[int, str, None] = None
    "Number or text."
    groups: List[str] = field(default_factory=list)
    "Names."
    sizes: list[int] = field(default_factory=list)
    "Numbers."
    rules: List[Dict[str, Any]] = field(default_factory=list)
    "Rules."
    options: Dict[str, str] = field(default_factory=dict)
    "Options."
    anything: Any = None
    "Anything."
    answer: Literal["yes", "no", "maybe"] = "maybe"
    "Word."
    state: Literal["present", "absent"] = "present"
    "State."
    digest: str = observed("")
    "Found."

    def validate(self):
        if not self.path.startswith("/"):
            yield f"path must be absolute, got {self.path}"
        if self.state == "absent" and self.content is not None:
            yield "a gadget that is absent has no content"
'''


@pytest.fixture
def library(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "gadget.py"
    file.write_text(KIND)
    return {"gadget": str(file)}


@pytest.fixture
def gadget(library: dict[str, str]) -> Any:
    """Validates `path: /x` and the YAML lines given, and returns the resource."""

    def make(text: str, stock: Stock | None = None, **values: Any) -> Any:
        params = source.load(f"path: /x\n{text}\n", "t.yml")
        params.update(values)
        return schema.validate("gadget", params, params, stock=stock, library=library)

    return make


def problems(make: Any, *args: Any, **kwargs: Any) -> list[str]:
    with pytest.raises(InvalidError) as caught:
        make(*args, **kwargs)
    return [f"{one.position}: {one.summary} [{one.hint}]" for one in caught.value.diagnostics]


@pytest.mark.parametrize(("written", "field", "value"), [
    ("version: 1.10", "version", "1.10"),
    ("version: 0644", "version", "0644"),
    ("version: 1_000", "version", "1_000"),
    ("mode: 0644", "mode", "0644"),
    ("mode: 0o755", "mode", "0755"),
    ('mode: "644"', "mode", "0644"),
    ("mode: 01777", "mode", "1777"),
    ("mode: u=rw,g=r,o=", "mode", "u=rw,g=r,o="),
    ("mode: preserve", "mode", "preserve"),
    ('enabled: "yes"', "enabled", True),
    ('enabled: "False"', "enabled", False),
    ("enabled: 1", "enabled", True),
    ('count: "12"', "count", 12),
    ("ratio: 2", "ratio", 2.0),
    ("groups: audio, video", "groups", ["audio", "video"]),
    ("groups: audio", "groups", ["audio"]),
    ("groups: [1.10, video]", "groups", ["1.10", "video"]),
    ("sizes: 4", "sizes", [4]),
    ('sizes: [1, "2"]', "sizes", [1, 2]),
    ("options: {a: 1.10}", "options", {"a": "1.10"}),
    ("rules: [{a: yes, b: [1]}]", "rules", [{"a": True, "b": [1]}]),
    ("upgrade: yes", "upgrade", True),
    ('upgrade: "yes"', "upgrade", True),
    ("upgrade: dist", "upgrade", "dist"),
    ("port: 22", "port", 22),
    ("port: ssh", "port", "ssh"),
    ("answer: yes", "answer", "yes"),
    ("answer: no", "answer", "no"),
    ("count: null", "count", None),
    ("anything: {a: [1.5, x]}", "anything", {"a": [1.5, "x"]}),
])
def test_what_is_written_is_what_the_field_holds(gadget: Any, written: str, field: str, value: Any) -> None:
    found = getattr(gadget(written), field)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("written", "expected"), [
    ("version: yes", 't.yml:2:10: gadget.version: expected text, got the boolean yes [write `version: "yes"`'),
    ("mode: 644", "t.yml:2:7: gadget.mode: YAML reads 644 as a decimal number, so the mode would be 1204 [write"),
    ("mode: rw-r--r--", 't.yml:2:7: gadget.mode: "rw-r--r--" is no mode'),
    ('mode: "0888"', 't.yml:2:7: gadget.mode: "0888" is no mode'),
    ("count: many", 't.yml:2:8: gadget.count: expected a whole number, got "many"'),
    ("count: true", "t.yml:2:8: gadget.count: expected a whole number, got the boolean yes"),
    ("enabled: maybe", 't.yml:2:10: gadget.enabled: expected yes or no, got "maybe"'),
    ("enabled: 2", "t.yml:2:10: gadget.enabled: expected yes or no, got 2"),
    ("sizes: [1, x]", 't.yml:2:12: gadget.sizes: expected a whole number, got "x"'),
    ("groups: [a, yes]", "t.yml:2:13: gadget.groups: expected text, got the boolean yes"),
    ("options: [a]", "t.yml:2:10: gadget.options: expected a mapping, got a list"),
    ("options: {a: {b: c}}", "t.yml:2:14: gadget.options: expected text, got a mapping"),
    ("rules: some", 't.yml:2:8: gadget.rules: expected a list, got "some"'),
    ("state: presnet", 'expected one of present, absent, got "presnet" [did you mean "present"?]'),
    ("upgrade: full", 'gadget.upgrade: expected yes or no or one of dist, safe, got "full"'),
    ("pth: /y", 't.yml:2:1: gadget has no parameter "pth" [did you mean "path"?]'),
    ("dest: /y", 't.yml:2:1: "dest" and "path" are the same parameter of gadget'),
    ("digest: abc", "t.yml:2:1: gadget.digest is what is found on the host and cannot be set"),
    ("state: absent\ncontent: x", "t.yml:3:10: gadget: a gadget that is absent has no content"),
])
def test_a_mistake_is_told_at_its_place(gadget: Any, written: str, expected: str) -> None:
    found = problems(gadget, written)
    assert len(found) == 1
    assert expected in found[0]


def test_a_mode_that_lost_its_octal_digits_is_refused(gadget: Any) -> None:
    [found] = problems(gadget, "", mode=420)
    assert "420 is a plain number" in found and "0644" in found


def test_all_mistakes_come_at_once_and_in_order(gadget: Any) -> None:
    found = problems(gadget, "count: x\nratio: y\nwhat: 1")
    assert [one.split(":")[1] for one in found] == ["2", "3", "4"]


def test_a_missing_parameter_is_told_once(library: dict[str, str]) -> None:
    misspelt = source.load("paht: /x", "t.yml")
    assert len(problems(schema.validate, "gadget", misspelt, misspelt, library=library)) == 1
    empty = source.load("{}", "t.yml")
    assert problems(schema.validate, "gadget", empty, empty, library=library) == ['t.yml:1:1: gadget needs "path" []']


def test_an_alias_sets_its_field_and_errors_point_at_it(library: dict[str, str]) -> None:
    params = source.load("dest: /y", "t.yml")
    found: Any = schema.validate("gadget", params, params, library=library)
    assert found.path == "/y"
    params = source.load("dest: {}", "t.yml")
    assert problems(schema.validate, "gadget", params, params, library=library)[0].startswith("t.yml:1:7")


def test_free_form_text_is_the_parameter_that_takes_it(library: dict[str, str]) -> None:
    found: Any = schema.validate("gadget", "/y", library=library)
    assert found.path == "/y"
    assert "takes parameters" in problems(schema.validate, "group", "wheel")[0]


def test_content_becomes_a_blob_and_its_bytes_go_into_the_stock(gadget: Any) -> None:
    stock = Stock()
    found = gadget("content: grüße", stock)
    assert stock.blobs == {found.content.sha256: "grüße".encode()}
    listed = gadget("content: [1, {a: x}]", stock)
    assert stock.blobs[listed.content.sha256] == b'[1, {"a": "x"}]'


def test_a_secret_stays_boxed_and_its_value_leaves_only_by_the_stock(library: dict[str, str]) -> None:
    stock = Stock()
    params = {"path": "/x", "token": Secret("hunter2", "t"), "version": Secret("v9", "v"),
              "options": {"a": Secret("o1", "o")}, "content": Secret("c0ntent", "c"), "password": "plainpass"}
    wire = schema.fill("gadget", params, library=library, stock=stock)
    assert wire["token"] == {"$secret": "t"} and wire["content"] == {"$secret": "c"}
    assert wire["password"] == {"$secret": "gadget.password"}
    assert stock.secrets == {"t": "hunter2", "v": "v9", "o": "o1", "c": "c0ntent", "gadget.password": "plainpass"}
    assert not stock.blobs
    assert not [value for value in stock.secrets.values() if value in str(wire)]


def test_two_secrets_of_one_name_get_two_names(gadget: Any) -> None:
    stock = Stock()
    first = gadget("", stock, token=Secret("a", "password"))
    second = gadget("", stock, token=Secret("b", "password"))
    third = gadget("", stock, token=Secret("a", "password"))
    assert [one.token.name for one in (first, second, third)] == ["password", "password#2", "password"]
    assert stock.secrets == {"password": "a", "password#2": "b"}


def test_a_rule_that_reads_a_secret_tells_its_name_only(library: dict[str, str]) -> None:
    [found] = problems(schema.validate, "gadget", {"path": Secret("relative/dir", "where")}, library=library)
    assert "path must be absolute, got (secret where)" in found
    assert "relative/dir" not in found


def test_a_secret_cannot_stand_for_a_number(gadget: Any) -> None:
    [found] = problems(gadget, "", count=Secret("12", "n"))
    assert "got (secret n)" in found and "12" not in found


def test_what_is_already_a_blob_passes(gadget: Any) -> None:
    blob = Blob.of(b"data")
    assert gadget("", content=blob).content is blob


@pytest.mark.parametrize("written", [
    "count: '{{ n }}'", "enabled: '{{ a }}'", "groups: ['{{ a }}', b]", "options: {a: '{{ b }}'}", "state: '{{ s }}'",
    "mode: '{{ m }}'", "sizes: '{{ all }}'", "port: '{{ p }}'", "rules: [{a: '{{ b }}'}]", "content: !vault x",
])
def test_a_template_is_fit_for_any_type_before_it_is_rendered(library: dict[str, str], written: str) -> None:
    params = source.load(f"path: relative\n{written}", "t.yml")
    schema.check_static("gadget", params, params, library=library)


def test_static_checks_find_what_needs_no_rendering(library: dict[str, str]) -> None:
    params = source.load("path: '{{ p }}'\ncuont: 1\nsizes: ['{{ a }}', b]\nenabled: maybe", "t.yml")
    found = problems(schema.check_static, "gadget", params, params, library=library)
    assert [one.split(" ")[0] for one in found] == ["t.yml:2:1:", "t.yml:3:20:", "t.yml:4:10:"]
    literal = source.load("path: relative", "t.yml")
    assert "must be absolute" in problems(schema.check_static, "gadget", literal, literal, library=library)[0]
    schema.check_static("gadget", {"path": "/x", "count": Unknown("a")}, library=library)


def test_a_kind_that_does_not_exist_is_told_with_the_nearest(library: dict[str, str]) -> None:
    assert problems(load_kind, "gadgte", library) == ['None: there is no kind "gadgte" [did you mean "gadget"?]']
    assert load_kind("ansible.builtin.group").kind == "group"
    assert "group" in kind_names()


def test_a_library_file_that_is_wrong_points_at_its_line(tmp_path: Path) -> None:
    file = tmp_path / "odd.py"
    file.write_text("x = 1\nx = = 2\n")
    assert f"{file}:2:" in problems(load_kind, "odd", {"odd": str(file)})[0]
    file.write_text("import sys\n\nraise RuntimeError('boom')\n# changed")
    assert f"{file}:3:1" in problems(load_kind, "odd", {"odd": str(file)})[0]
    file.write_text("x = 1  # no class at all")
    assert "no resource of kind" in problems(load_kind, "odd", {"odd": str(file)})[0]


def test_defaults_do_not_travel() -> None:
    assert schema.fill("group", {"name": "gpu", "state": "present"}) == {"name": "gpu"}


def test_a_playbook_of_184_tasks_validates_in_the_time_of_a_blink(library: dict[str, str]) -> None:
    params = source.load("path: /x\nmode: 0644\nversion: 1.2\ngroups: [a, b]\noptions: {a: b}\nstate: absent", "t.yml")
    schema.fill("gadget", params, params, library=library)
    started = time.process_time()
    for _ in range(184):
        schema.fill("gadget", params, params, library=library)
    assert time.process_time() - started < 0.06
