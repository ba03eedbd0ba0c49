"""uri: what is asked while planning, what an answer gives, what fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from personaplex_provision.agent.resource import ResourceError, Unpredictable
from personaplex_provision.agent.resources.uri import Uri
from personaplex_provision.agent.values import Secret
from tests.unit.kind_host import Life
from tests.unit.loopback import Asked, Site, serve


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as found:
        kind = {"Content-Type": "application/json"}
        found.pages["/json"] = lambda asked: (200, {**kind, "X-Is": asked.method}, b'{"a": [1]}')
        found.pages["/post"] = lambda asked: (201, {}, asked.body)
        yield found


def test_a_get_reads_and_gives_json_headers_and_content(site: Site, tmp_path: Path) -> None:
    life, task = Life(tmp_path), Uri(f"{site.url}/json", return_content=True)
    assert task.probe
    assert life.plan(task) == "none"
    outcome = life.apply(task)
    assert not outcome.changed
    assert outcome.result["json"] == {"a": [1]}
    assert (outcome.result["status"], outcome.result["content"], outcome.result["x_is"]) == (200, '{"a": [1]}', "GET")


def test_a_post_acts_once_and_is_not_taken_back(site: Site, tmp_path: Path) -> None:
    life = Life(tmp_path)
    task = Uri(f"{site.url}/post", "POST", {"b": 1}, "json", status_code=[200, 201], return_content=True)
    assert not task.probe
    assert life.plan(task) == "run"
    assert site.asked == []
    outcome = life.apply(task)
    assert outcome.changed
    assert json.loads(outcome.result["content"]) == {"b": 1}
    assert site.asked[0].headers["content-type"] == "application/json"
    assert len(site.asked) == 1
    assert task.reversibility(task) == "irreversible"


def test_another_status_is_a_failure_with_the_answer_in_its_result(site: Site, tmp_path: Path) -> None:
    site.pages["/busy"] = lambda _: (503, {}, b"come back later")
    with pytest.raises(ResourceError, match="answered 503 Service Unavailable, not 200") as caught:
        Life(tmp_path).apply(Uri(f"{site.url}/busy"))
    assert caught.value.result["status"] == 503
    assert caught.value.detail == "come back later"
    assert len(site.asked) == 1
    assert Life(tmp_path).apply(Uri(f"{site.url}/busy", status_code=[503])).result["status"] == 503


def test_nobody_there_is_a_failure_with_status_minus_one(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="refused the connection") as caught:
        Life(tmp_path).apply(Uri("http://127.0.0.1:9/"))
    assert caught.value.result["status"] == -1


def test_what_an_earlier_task_will_start_is_not_asked_while_planning(site: Site, tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.planning().declare("unit", "app.service", {"state": "started"})
    with pytest.raises(Unpredictable):
        life.plan(Uri(f"{site.url}/json"))
    assert site.asked == []


def test_credentials_and_forms_are_sent(site: Site, tmp_path: Path) -> None:
    task = Uri(
        f"{site.url}/post", "PUT", {"x": ["1", "2"]}, "form-urlencoded", status_code=[201], url_username="u",
        url_password=Secret("p"), force_basic_auth=True, headers={"X-Token": "t"},
    )
    Life(tmp_path).apply(task)
    asked = site.asked[0]
    assert (asked.method, asked.body, asked.headers["x-token"]) == ("PUT", b"x=1&x=2", "t")
    assert asked.headers["authorization"] == "Basic dTpw"


def test_redirects_are_followed_as_told(site: Site, tmp_path: Path) -> None:
    def away(_: Asked) -> tuple[int, dict[str, str], bytes]:
        return 302, {"Location": "/json"}, b""

    site.pages["/away"] = away
    assert Life(tmp_path).apply(Uri(f"{site.url}/away")).result["json"] == {"a": [1]}
    with pytest.raises(ResourceError, match="answered 302"):
        Life(tmp_path).apply(Uri(f"{site.url}/away", follow_redirects="none"))


def test_an_answer_goes_to_a_file_and_comes_back_out(site: Site, tmp_path: Path) -> None:
    life, task = Life(tmp_path), Uri(f"{site.url}/json", dest=str(tmp_path / "f"), creates=str(tmp_path / "f"))
    assert life.plan(task) == "run"
    life.apply(task)
    assert (tmp_path / "f").read_bytes() == b'{"a": [1]}'
    assert not life.apply(task).changed
    (tmp_path / "f").unlink()
    life.apply(task)
    life.back()
    assert not (tmp_path / "f").exists()
