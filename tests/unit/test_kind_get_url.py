"""get_url: downloads resume, are verified, and are not repeated."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._download import digest_in, parse_checksum
from personaplex_provision.agent.resources.get_url import GetUrl
from personaplex_provision.agent.values import Secret
from tests.unit.kind_host import Life
from tests.unit.loopback import Asked, Site, serve

DATA = bytes(range(256)) * 4000
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as found:
        found.pages["/f.bin"] = DATA
        yield found


def test_a_missing_file_is_fetched_and_then_left_alone(site: Site, tmp_path: Path) -> None:
    life, want = Life(tmp_path), GetUrl(f"{site.url}/f.bin", str(tmp_path / "f"), mode="0600")
    assert life.plan(want) == "create"
    assert life.apply(want).changed
    assert (tmp_path / "f").read_bytes() == DATA
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o600
    asked = len(site.asked)
    assert life.check(want) == []
    assert len(site.asked) == asked
    life.back()
    assert not (tmp_path / "f").exists()


def test_a_broken_connection_is_taken_up_where_it_stopped(site: Site, tmp_path: Path) -> None:
    site.cut["/f.bin"] = 300_000
    life = Life(tmp_path)
    life.apply(GetUrl(f"{site.url}/f.bin", str(tmp_path / "f"), checksum=f"sha256:{SHA}"))
    assert (tmp_path / "f").read_bytes() == DATA
    assert site.asked[-1].headers["range"] == "bytes=300000-"


def test_a_later_run_takes_up_what_an_earlier_one_left(site: Site, tmp_path: Path) -> None:
    site.cut["/f.bin"] = 300_000
    life = Life(tmp_path)
    once = GetUrl(f"{site.url}/f.bin", str(tmp_path / "f"), checksum=f"sha256:{SHA}", retries=0)
    with pytest.raises(ResourceError, match="early"):
        life.apply(once)
    assert not (tmp_path / "f").exists()
    life.apply(once)
    assert site.asked[-1].headers["range"] == "bytes=300000-"
    assert (tmp_path / "f").read_bytes() == DATA


def test_what_was_left_is_not_mixed_with_a_new_version(site: Site, tmp_path: Path) -> None:
    site.cut["/f.bin"] = 300_000
    life, once = Life(tmp_path), GetUrl(f"{site.url}/f.bin", str(tmp_path / "f"), retries=0)
    with pytest.raises(ResourceError):
        life.apply(once)
    site.pages["/f.bin"] = b"new" * 200_000
    life.apply(once)
    assert (tmp_path / "f").read_bytes() == b"new" * 200_000


def test_a_whole_part_left_behind_needs_no_second_transfer(site: Site, tmp_path: Path) -> None:
    life = Life(tmp_path)
    want = GetUrl(f"{site.url}/f.bin", str(tmp_path / "f"), checksum=f"sha256:{SHA}", validation="false %s")
    with pytest.raises(ResourceError, match="refused the content"):
        life.apply(want)
    assert not (tmp_path / "f").exists()
    want.validation = "true %s"
    life.apply(want)
    assert site.asked[-1].headers["range"] == f"bytes={len(DATA)}-"
    assert (tmp_path / "f").read_bytes() == DATA


def test_a_wrong_digest_never_reaches_dest(site: Site, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("old")
    life = Life(tmp_path)
    with pytest.raises(ResourceError, match="not what was expected") as caught:
        life.apply(GetUrl(f"{site.url}/f.bin", str(tmp_path / "f"), checksum="sha256:" + "0" * 64))
    assert SHA in caught.value.detail
    assert (tmp_path / "f").read_text() == "old"


def test_the_digest_may_come_from_a_file_beside(site: Site, tmp_path: Path) -> None:
    site.pages["/SHA256SUMS"] = f"{'0' * 64}  other\n{SHA} *f.bin\n".encode()
    life = Life(tmp_path)
    want = GetUrl(f"{site.url}/f.bin", str(tmp_path) + "/", checksum=f"sha256:{site.url}/SHA256SUMS")
    life.apply(want)
    assert life.check(want) == []
    (tmp_path / "f.bin").write_bytes(b"broken")
    assert life.check(want) == ["checksum"]


def test_force_asks_whether_the_content_moved_without_fetching_it(site: Site, tmp_path: Path) -> None:
    life, want = Life(tmp_path), GetUrl(f"{site.url}/f.bin", str(tmp_path / "f"), force=True)
    life.apply(want)
    assert life.check(want) == []
    assert "if-none-match" in site.asked[-1].headers
    site.pages["/f.bin"] = b"other"
    assert life.check(want) == ["content"]
    assert life.apply(want).action == "update"
    assert (tmp_path / "f").read_bytes() == b"other"
    life.back()
    assert (tmp_path / "f").read_bytes() == DATA


def test_a_passing_503_is_asked_again_and_a_404_is_not(site: Site, tmp_path: Path) -> None:
    answers: list[tuple[int, dict[str, str], bytes]] = [(503, {}, b""), (200, {}, b"at last")]
    site.pages["/slow"] = lambda _: answers.pop(0)
    life = Life(tmp_path)
    life.apply(GetUrl(f"{site.url}/slow", str(tmp_path / "s")))
    assert (tmp_path / "s").read_bytes() == b"at last"
    with pytest.raises(ResourceError, match="answered 404"):
        life.apply(GetUrl(f"{site.url}/none", str(tmp_path / "n")))
    assert [one.path for one in site.asked].count("/none") == 1


def test_credentials_go_to_the_server_that_wants_them_and_to_no_other(site: Site, tmp_path: Path) -> None:
    with serve() as other:
        other.pages["/blob"] = b"x"

        def gate(asked: Asked) -> tuple[int, dict[str, str], bytes]:
            if not asked.headers.get("authorization", "").startswith("Basic "):
                return 401, {"WWW-Authenticate": 'Basic realm="x"'}, b""
            return 302, {"Location": f"{other.url}/blob"}, b""

        site.pages["/gated"] = gate
        life = Life(tmp_path)
        want = GetUrl(f"{site.url}/gated", str(tmp_path / "g"), url_username="u", url_password=Secret("p"))
        life.apply(want)
        assert "authorization" not in other.asked[0].headers
        headers = {"Authorization": "Basic dTpw", "X-A": "1"}
        life.apply(GetUrl(f"{site.url}/gated", str(tmp_path / "h"), headers=headers))
        assert "authorization" not in other.asked[1].headers
        assert other.asked[1].headers["x-a"] == "1"


def test_messages_show_no_credentials(tmp_path: Path) -> None:
    with pytest.raises(ResourceError) as caught:
        Life(tmp_path).apply(GetUrl("http://u:hunter2@127.0.0.1:9/x?token=hunter2", str(tmp_path / "x"), retries=0))
    assert "hunter2" not in caught.value.summary + caught.value.detail + str(caught.value.result)
    assert "refused the connection" in caught.value.summary


def test_the_proxy_of_the_tasks_environment_is_used_unless_no_proxy_says_otherwise(site: Site, tmp_path: Path) -> None:
    site.pages["http://files.invalid/a"] = b"through the proxy"
    Life(tmp_path, {"http_proxy": site.url}).apply(GetUrl("http://files.invalid/a", str(tmp_path / "a")))
    assert (tmp_path / "a").read_bytes() == b"through the proxy"
    with pytest.raises(ResourceError, match="cannot be resolved"):
        Life(tmp_path, {"http_proxy": site.url, "no_proxy": ".invalid"}).apply(
            GetUrl("http://files.invalid/a", str(tmp_path / "b"), retries=0)
        )


def test_after_a_download_its_content_is_not_known_to_the_plan(site: Site, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("old")
    life = Life(tmp_path)
    assert life.plan(GetUrl(f"{site.url}/f.bin", str(tmp_path / "f"), checksum=f"sha256:{SHA}")) == "update"
    with pytest.raises(Exception, match="is known after"):
        life.planning().read(str(tmp_path / "f"))


@pytest.mark.parametrize(("text", "found"), [
    (f"{SHA}\n", SHA), (f"{SHA}  ./f\n{'1' * 64}  g\n", SHA), (f"SHA256 (f) = {SHA.upper()}\n", SHA),
    (f"{'1' * 64}  g\n", None), (f"{'1' * 64}\n{'2' * 64}\n", None),
])
def test_checksum_files_of_every_usual_form(text: str, found: str | None) -> None:
    assert digest_in(text, "f", 64) == found


@pytest.mark.parametrize("text", ["sha256", "sha256:12", "sha257:" + "0" * 64, "0" * 64])
def test_a_checksum_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="checksum"):
        parse_checksum(text)


def test_a_plan_knows_what_a_download_takes_and_does_not_fetch_it(site: Site, tmp_path: Path) -> None:
    life = Life(tmp_path)
    assert life.plan(GetUrl(f"{site.url}/f.bin", str(tmp_path / "f"))) == "create"
    assert [(one.method, one.path) for one in site.asked] == [("HEAD", "/f.bin")]
    [row] = life.prediction.room()
    assert len(DATA) <= row["needed"] < len(DATA) + 4096 and row["images"] == 0 and "open" not in row


def test_a_server_that_does_not_answer_is_asked_once_for_all_its_files(tmp_path: Path) -> None:
    life = Life(tmp_path)
    with serve() as gone:
        url = gone.url
    for name in "abc":
        assert life.plan(GetUrl(f"{url}/{name}", str(tmp_path / name))) == "create"
    assert life.prediction.space.report() == [], "no size is made up"
    assert len(life.machine.remember(("silent", url.partition("//")[2]), list)) == 1


def test_a_download_is_renamed_to_its_place_and_not_copied(site: Site, tmp_path: Path) -> None:
    life, target = Life(tmp_path), tmp_path / "f"
    target.write_text("old")
    target.chmod(0o640)
    life.apply(GetUrl(f"{site.url}/f.bin", str(target), force=True, validation="test -s %s"))
    assert target.read_bytes() == DATA and target.stat().st_mode & 0o7777 == 0o640
    assert not list((tmp_path / "state/downloads").glob("*.part"))
    life.back()
    assert target.read_text() == "old"


def test_a_download_to_another_file_system_is_copied(site: Site, tmp_path: Path) -> None:
    life, target = Life(tmp_path), Path("/dev/shm") / f"{tmp_path.name}.bin"
    try:
        life.plan(GetUrl(f"{site.url}/f.bin", str(target)))
        assert sorted(one["mount"] == "/dev/shm" for one in life.prediction.room()) == [False, True]
        life.apply(GetUrl(f"{site.url}/f.bin", str(target), mode="0600"))
        assert target.read_bytes() == DATA and target.stat().st_mode & 0o7777 == 0o600
    finally:
        target.unlink(missing_ok=True)
