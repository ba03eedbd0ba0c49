"""`provision bundle`: what a bug report needs, bounded, listed, and without a secret."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.cli.main import main
from personaplex_provision.doctor import archive

CANARY = "canary-7f3b-never-told"


def members(path: Path) -> dict[str, str]:
    with tarfile.open(path) as found:
        return {one.name.removeprefix("bundle/"): (found.extractfile(one) or pytest.fail()).read().decode()
                for one in found.getmembers()}


def test_a_bundle_holds_what_it_lists_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", CANARY)
    cache = tmp_path / "hf/hub/models--nvidia--personaplex-7b-v1"
    cache.mkdir(parents=True)
    (cache / f"{CANARY}.json").write_text("x")  # a program says it, and no playbook knows it as a secret
    (tmp_path / "site.yml").write_text(
        "- hosts: localhost\n  vars: {word: \"{{ lookup('env', 'HF_TOKEN') }}\"}\n"
        f"  tasks: [{{name: write, copy: {{dest: {tmp_path}/x, content: \"token={{{{ word }}}}\"}}}}]\n"
    )
    code = main(["bundle", "--playbook", "site.yml", "--out", "b.tar.gz", "-e",
                 f"huggingface_home={tmp_path}/hf personaplex_home={tmp_path}"])
    capsys.readouterr()
    assert code == 0 and (tmp_path / "b.tar.gz").stat().st_mode & 0o777 == 0o600
    found = members(tmp_path / "b.tar.gz")
    assert "(secret " in found["localhost/model/files.txt"]  # the host itself knows it by then
    assert not [name for name, text in found.items() if CANARY in text]
    assert {"findings.json", "plan.jsonl", "localhost/facts.json", "localhost/runs.json",
            "localhost/gpu/nvidia-smi.txt", "localhost/python/check.txt", "localhost/service/journal.txt"} <= set(found)
    manifest: dict[str, Any] = json.loads(found["manifest.json"])
    assert manifest["hosts"] == ["localhost"]
    for row in manifest["files"]:
        assert hashlib.sha256(found[row["name"]].encode()).hexdigest() == row["sha256"]
    assert set(found) == {row["name"] for row in manifest["files"]} | {"manifest.json"}


def test_a_bundle_keeps_the_end_of_what_is_long_and_stays_bounded(tmp_path: Path) -> None:
    files = {f"{number:02}.txt": "x" * archive.FILE_LIMIT + "end" for number in range(20)}
    manifest = archive.write(str(tmp_path / "b.tar.gz"), files, [], {})
    found = members(tmp_path / "b.tar.gz")
    assert found["00.txt"].endswith("end") and len(found["00.txt"]) == archive.FILE_LIMIT
    assert sum(map(len, found.values())) < archive.TOTAL_LIMIT + 64 * 1024
    left = [row for row in manifest["files"] if "left_out" in row]
    assert len(left) == 4 and not {row["name"] for row in left} & set(found)


@pytest.mark.parametrize("text", [
    "HF_TOKEN=hf_abcdefghijklmnop", "Authorization: Bearer abcdef0123456789", '"password": "hunter2hunter2"',
    "https://user:hunter2hunter2@mirror.example/simple",
    "-----BEGIN PRIVATE KEY-----\nhunter2hunter2\n-----END PRIVATE KEY-----", "api_key: hunter2hunter2",
])
def test_what_looks_like_a_secret_is_redacted(text: str) -> None:
    told = archive.clean(f"before {text} after", [])
    assert "redacted" in told and told.startswith("before ")
    assert not any(one in told for one in ("hunter2", "abcdefghijklmnop", "abcdef0123456789"))
