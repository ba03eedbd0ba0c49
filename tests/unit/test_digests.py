"""Digests that are made without OpenSSL are those that it makes."""

from __future__ import annotations

import hashlib
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_provision.agent.digests import LARGE, sha256
from tests.unit.interpreters import interpreters


@given(st.binary(), st.binary(), st.sampled_from([0, LARGE]))
def test_a_digest_is_that_of_hashlib(first: bytes, then: bytes, size: int) -> None:
    found = sha256(first, size)
    found.update(then)
    assert found.hexdigest() == hashlib.sha256(first + then).hexdigest()


@pytest.mark.parametrize("size", [LARGE - 1, LARGE])
def test_the_two_are_one_at_the_border(size: int) -> None:
    assert sha256(b"x" * size).hexdigest() == hashlib.sha256(b"x" * size).hexdigest()


@pytest.mark.parametrize("python", interpreters().values())
def test_every_python_of_a_target_makes_small_ones_without_openssl(python: str) -> None:
    text = "import sys\nfrom personaplex_provision.agent.digests import sha256\n" \
        "print(sha256(b'x').hexdigest(), 'hashlib' in sys.modules)"
    done = subprocess.run(
        [python, "-S", "-c", text], capture_output=True, text=True, env={"PYTHONPATH": "."}, check=False,
    )
    assert done.stdout == f"{hashlib.sha256(b'x').hexdigest()} False\n", done.stderr
