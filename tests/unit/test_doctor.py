"""The doctor's rules: each known text is explained by its rule and by no other, and each fix can be planned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from personaplex_provision.cli.main import main
from personaplex_provision.doctor.prescription import playbook, tasks_of
from personaplex_provision.doctor.rules import FOLDER, Finding, examine, merged, rules
from personaplex_provision.language.playbook import load_playbook
from personaplex_provision.planning.kinds import kind_names
from personaplex_provision.runs.project import check

TEXTS = {
    "torch-pin": "ERROR: ResolutionImpossible: for help visit https://pip.example/resolver",
    "torch-replaced": "Would install nvidia-cuda-runtime-cu12-12.1.105 sympy-1.13.1",
    "torch-pin-known":
        "moshi-personaplex 0.1.0 has requirement torch<2.5,>=2.2.0, but you have torch 2.9.1.",
    "other-moshi": "Requirement already satisfied: moshi in ./.venv/lib/python3.10/site-packages (0.2.13)",
    "wrong-distribution-name": "WARNING: Skipping moshi as it is not installed.",
    "python-too-new": "ERROR: No matching distribution found for torch<2.5,>=2.2.0",
    "no-virtualenv": "the interpreter: the program /home/alex/personaplex/venv/bin/python is not there",
    "sphn-compiled": "error: failed to run custom build command for `audiopus_sys v0.2.2`",
    "rustymimi": "ModuleNotFoundError: No module named 'rustymimi'",
    "nvcc-missing": "bash: nvcc: command not found",
    "disk-full": "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
    "hash-mismatch": "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
    "broken-requirements": "pip finds nothing amiss: /x/bin/python -m pip check: stdout is numpy 1.0 requires y",
    "no-kernels": (
        "NVIDIA GeForce RTX 5090 with CUDA capability sm_120 is not compatible with the current PyTorch installation.\n"
        "The current PyTorch install supports CUDA capabilities sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90."
    ),
    "torch-without-cuda": "AssertionError: Torch not compiled with CUDA enabled",
    "driver-too-old": "RuntimeError: The NVIDIA driver on your system is too old (found version 12060).",
    "out-of-memory": "RuntimeError: CUDA out of memory. Tried to allocate 1.46 GiB",
    "no-compiler": "RuntimeError: Failed to find C compiler. Please specify via CC environment variable.",
    "triton-missing": "RuntimeError: Cannot find a working triton installation.",
    "python-extensions": "ModuleNotFoundError: No module named '_ctypes'",
    "no-token": (
        "huggingface_hub.utils._errors.GatedRepoError: 401 Client Error.\n\nCannot access gated repo for url x.\n"
        "Access to model nvidia/personaplex-7b-v1 is restricted. Please log in."
    ),
    "bad-token": "huggingface_hub.utils._errors.RepositoryNotFoundError: 401 Client Error.",
    "licence-not-accepted": (
        "huggingface_hub.utils._errors.GatedRepoError: 403 Client Error.\n"
        "Access to model nvidia/personaplex-7b-v1 is restricted and you are not in the authorized list."
    ),
    "cannot-reach-hub": "huggingface_hub.utils._errors.LocalEntryNotFoundError: check your connection and try again",
    "partial-voices": "all voices are there: python3 -c ...: stdout is 7 of 18 voices, and should match",
    "truncated-model": "safetensors_rust.SafetensorError: Error while deserializing header: MetadataIncompleteBuffer",
    "random-weights": "Missing %s text_linear.weight",
    "no-route": "OSError: [Errno 101] Network is unreachable",
    "port-taken": "OSError: [Errno 98] error while attempting to bind on address ('0.0.0.0', 8998)",
    "no-accelerate": "ModuleNotFoundError: No module named 'accelerate'",
    "no-pyloudnorm": "ModuleNotFoundError: No module named 'pyloudnorm'",
    "portaudio": "OSError: PortAudio library not found",
    "empty-text-prompt": "TypeError: 'NoneType' object is not iterable",
    "voice-without-pt": "FileNotFoundError: [Errno 2] No such file or directory: '/x/voices/NATF2'",
    "seed-in-address": "KeyError: 'seed'",
    "plain-get": "No WebSocket UPGRADE hdr: None\n Can \"Upgrade\" only to \"WebSocket\".",
    "server-started-by-import": '  File "moshi/server.py", line 330, in _get_voice_prompt_dir',
    "console-script":
        "started as a module, and not by the console script: process /bin/moshi-server/: count is 1, and should be 0",
    "unit-down": "the unit: unit personaplex: active is failed, and should be active",
    "http-fallback": "WARNING - falling back to HTTP",
    "half-a-pair": "the certificate pair: the key /x/key.pem does not exist",
    "certificate-not-trusted": "NET::ERR_CERT_AUTHORITY_INVALID",
    "microphone": "TypeError: Cannot read properties of undefined (reading 'getUserMedia')",
    "listens-everywhere": "======== Running on https://0.0.0.0:8998 ========",
    "one-session": "wss://localhost:8998/api/chat was opened, and then said nothing for 20 seconds: it is busy",
    "closed-1006": "wss://localhost:8998/api/chat was opened and closed again with 1006 before it said anything",
    "connection-refused": "This site can't be reached: ERR_CONNECTION_REFUSED",
    "no-card": "no NVIDIA card is visible: there is no nvidia-smi",
    "driver-not-reached": "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
    "cuda-err": "| NVIDIA-SMI 580.102.01  Driver Version: 581.57  CUDA Version: ERR! |",
    "linux-driver-in-wsl": "no Linux driver in WSL: dpkg-query ...: stdout is installed nvidia-driver-570",
    "too-hot": "the card: the NVIDIA card: temperature is 91.0, and should be less than 85",
    "no-systemd": "System has not been booted with systemd as init system (PID 1). Can't operate.",
    "little-memory": "Out of memory: Killed process 4711 (python)",
    "apt-locked": "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (unattended-upgr)",
    "not-installed": "✗ packages: moshi-personaplex is not installed\n    do: apply the playbook again",
    "server-does-not-start": "✗ server_starts: the server cannot be started\n    why: x",
    "lock-differs": "✗ lock: /x/requirements.lock.txt and the virtualenv differ in einops",
    "another-torch": "✗ torch: torch is 2.8.0, not 2.9.1",
    "cuda-not-available": ">>> torch.cuda.is_available()\nFalse",
    "env-without-token": "✗ env_file: /x/.env holds no token\n    why: HF_TOKEN is missing or empty",
    "env-readable": "✗ env_file: /x/.env may be read by others (mode 0644)",
    "unauthorized": "requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: https://hub.example/x",
    "model-file-missing": "✗ files: config.json is not in the cache",
    "unit-masked": "✗ unit: the unit personaplex.service is masked",
    "unit-changed": "✗ unit: the unit is changed by /etc/systemd/system/personaplex.service.d/override.conf",
    "source-changed": "✗ source: the checkout is at 0123456789ab, not at 3428dfd95309",
    "page-missing": "✗ web: https://127.0.0.1:8998/ answers 404",
    "server-hangs": "✗ web: https://127.0.0.1:8998/ does not answer: timed out",
    "key-readable": "✗ certificate: /x/key.pem may be read by others",
    "certificate-renewed": "✗ web: the certificate is refused: self-signed certificate",
    "inbound-blocked": "This site can't be reached: ERR_CONNECTION_TIMED_OUT",
    "pyenv-there": "Can not proceed with installation. Kindly remove the '/home/alex/.pyenv' directory first.",
}

REPORTED = {
    # What users reported, in the words in which it is known, and what it is.
    "sm_120 is not compatible with the current PyTorch installation": "no-kernels",
    "AssertionError: Torch not compiled with CUDA enabled": "torch-without-cuda",
    "GatedRepoError: 401 Client Error. Access to model x is restricted. Please log in.": "no-token",
    "GatedRepoError: 403 Client Error. you are not in the authorized list": "licence-not-accepted",
    "LocalEntryNotFoundError: please check your connection and try again": "cannot-reach-hub",
    "RepositoryNotFoundError: 401 Client Error.": "bad-token",
    "ImportError: Using `--cpu-offload` requires accelerate": "no-accelerate",
    "ModuleNotFoundError: No module named 'pyloudnorm'": "no-pyloudnorm",
    "Cannot read properties of undefined (reading 'addModule')": "microphone",
    "audioWorklet is undefined": "microphone",
    "error: Failed to build sentencepiece": "python-too-new",
    "ERROR: Failed building wheel for sphn": "sphn-compiled",
    "CUDA Version: ERR!": "cuda-err",
    "RuntimeError: CUDA out of memory": "out-of-memory",
    "nvcc not found": "nvcc-missing",
    "torch.cuda.is_available() returns False": "cuda-not-available",
    "curl: (7) Failed to connect to localhost port 8998: Connection refused": "connection-refused",
    "401 Unauthorized": "unauthorized",
    "WARNING: Skipping moshi as it is not installed.": "wrong-distribution-name",
    "safetensors_rust.SafetensorError: Error while deserializing header: MetadataIncompleteBuffer": "truncated-model",
    "OSError: [Errno 98] error while attempting to bind on address": "port-taken",
    "OSError: [Errno 101] Network is unreachable": "no-route",
    "Found no NVIDIA driver on your system": "no-card",
}


def test_every_rule_has_a_known_text() -> None:
    assert sorted(TEXTS) == sorted(one.id for one in rules())


@pytest.mark.parametrize("rule", sorted(TEXTS))
def test_a_known_text_is_explained_by_its_rule_and_no_other(rule: str) -> None:
    text = f"2026-11-24 10:00:00 starting\n{TEXTS[rule]}\nand more\n"
    found = examine(text, "log")
    assert [one.rule.id for one in found] == [rule]
    assert found[0].evidence[0].startswith("log:")


@pytest.mark.parametrize("text", REPORTED)
def test_what_users_report_is_explained(text: str) -> None:
    assert [one.rule.id for one in examine(f"starting\n{text}\n", "log")] == [REPORTED[text]]


def test_what_another_finding_explains_is_not_told_beside_it() -> None:
    log = f"{TEXTS['port-taken']}\n{TEXTS['unit-down']}\n{TEXTS['http-fallback']}\n"
    assert [one.rule.id for one in merged(examine(log, "log"))] == ["port-taken"]
    assert {name for one in rules() for name in one.explains} <= set(TEXTS)


def test_the_service_starts_anew_once_after_all_fixes() -> None:
    found = [*examine(TEXTS["half-a-pair"], "log"), *examine(TEXTS["partial-voices"], "log")]
    names = [one["name"] for one in tasks_of(found)]
    assert names[-1] == "the service starts anew" and names.count(names[-1]) == 1 and len(names) == 6


def test_a_healthy_log_has_no_finding() -> None:
    assert examine(
        "retrieving voice prompts\nmimi loaded\nmoshi loaded\nwarming up the model\n"
        "Access the Web UI directly at https://127.0.0.1:8998\n======== Running on https://127.0.0.1:8998 ========\n",
        "log",
    ) == []


def test_every_fix_is_a_valid_playbook(tmp_path: Path) -> None:
    for rule in rules():
        if rule.tasks:
            path = tmp_path / f"{rule.id}.yml"
            path.write_text(playbook([Finding(rule)], {}, str(path)), encoding="utf-8")
            check(load_playbook(str(path), kinds=kind_names()))


@pytest.mark.parametrize("name", ["doctor", "bundle"])
def test_the_doctors_own_playbooks_are_valid(name: str) -> None:
    check(load_playbook(str(FOLDER / f"{name}.yml"), kinds=kind_names()))


def test_a_log_is_explained_without_any_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "server.log"
    log.write_text(f"starting\n{TEXTS['no-accelerate']}\n", encoding="utf-8")
    fixes = tmp_path / "fix.yml"
    assert main(["doctor", "--log", str(log), "--out", str(fixes)]) == 6
    said = capsys.readouterr().out
    assert "accelerate is not installed" in said and f"{log}:2: ModuleNotFoundError" in said
    assert yaml.safe_load(fixes.read_text())[0]["tasks"][0]["pip"]["name"] == "accelerate"
    assert main(["validate", str(fixes)]) == 0
    log.write_text("all is well\n")
    assert main(["doctor", "--log", str(log)]) == 0


def test_what_is_harmless_is_a_note_and_no_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    log.write_text(TEXTS["torch-pin-known"])
    assert main(["doctor", "--log", str(log), "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (events[0]["rule"], events[0]["severity"], events[-1]["exit"]) == ("torch-pin-known", "note", 0)


def test_a_host_is_looked_at_and_what_it_lacks_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--json", "-e", f"personaplex_home={tmp_path} tls_directory={tmp_path} server_port=1"])
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = {one["rule"]: one for one in events if "rule" in one}
    assert code == 6 and {"no-virtualenv", "half-a-pair", "unit-down"} <= set(found)
    assert f"{tmp_path}/cert.pem does not exist" in found["half-a-pair"]["evidence"][0]
    assert found["half-a-pair"]["tasks"][0]["tls_certificate"]["common_name"] == "localhost"
