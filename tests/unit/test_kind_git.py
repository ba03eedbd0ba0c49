"""git: what is cloned, what is updated, what is refused, and how it is taken back. Repositories are local."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from personaplex_provision.agent.look import look
from personaplex_provision.agent.packages import Package
from personaplex_provision.agent.resource import ResourceError, Unpredictable
from personaplex_provision.agent.resources._git import read_references
from personaplex_provision.agent.resources.git import Git
from tests.lab.fingerprint import Fingerprinter, difference
from tests.unit.kind_host import Life

_ENV = {
    **os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org",
}


class Upstream:
    """A repository with two commits on `main`, the first one tagged v1, and a branch `dev`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "-q", "-b", "main")
        self.first = self.commit("one")
        self.git("tag", "-a", "v1", "-m", "v1")
        self.second = self.commit("two")
        self.git("branch", "dev", self.first)
        self.url = f"file://{path}"

    def git(self, *words: str) -> str:
        """What git answers in the repository."""
        done = subprocess.run(["git", *words], cwd=self.path, env=_ENV, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, text: str) -> str:
        """A new commit's id."""
        (self.path / "f").write_text(text)
        self.git("add", "f")
        self.git("commit", "-qm", text)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path / "up")


def _head(tree: Path) -> str:
    return subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=tree, text=True).strip()


@pytest.mark.parametrize(("version", "want", "depth"), [
    ("HEAD", "second", None), ("main", "second", 1), ("v1", "first", None), ("dev", "first", None), ("v1", "first", 1),
    ("refs/tags/v1", "first", 1),
])
def test_a_clone_is_at_what_the_version_means(
    upstream: Upstream, tmp_path: Path, version: str, want: str, depth: int | None,
) -> None:
    life, task = Life(tmp_path), Git(upstream.url, str(tmp_path / "t"), version, depth=depth)
    assert life.plan(task) == "create"
    outcome = life.apply(task)
    assert _head(tmp_path / "t") == getattr(upstream, want) == outcome.result["after"]
    assert life.check(task) == []
    life.back()
    assert sorted(os.listdir(tmp_path)) == ["up"]


@pytest.mark.parametrize("depth", [None, 1])
def test_a_commit_is_checked_out_and_then_needs_no_network(
    upstream: Upstream, tmp_path: Path, depth: int | None,
) -> None:
    life, task = Life(tmp_path), Git(upstream.url, str(tmp_path / "t"), upstream.first, depth=depth)
    life.apply(task)
    assert _head(tmp_path / "t") == upstream.first
    upstream.path.rename(tmp_path / "gone")
    assert life.check(task) == []


def test_an_update_is_taken_back_to_the_last_byte(upstream: Upstream, tmp_path: Path) -> None:
    tree = tmp_path / "t"
    life, task = Life(tmp_path), Git(upstream.url, str(tree), "main")
    life.apply(task)
    (tree / "untracked").write_text("mine")
    before = look(str(tree), whole=True)
    third = upstream.commit("three")
    assert life.check(task) == ["version"]
    assert life.apply(task).action == "update"
    assert _head(tree) == third
    assert (tree / "untracked").read_text() == "mine"
    log = (tree / ".git/logs/HEAD").read_text()
    life.back()
    assert look(str(tree), whole=True) == before
    assert (tree / ".git/logs/HEAD").read_text() != log
    assert subprocess.run(["git", "fsck"], cwd=tree, capture_output=True, check=False).returncode == 0


def test_an_update_of_a_submodule_is_taken_back_too(upstream: Upstream, tmp_path: Path) -> None:
    allow = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow", "GIT_CONFIG_VALUE_0": "always"}
    whole, tree = Upstream(tmp_path / "whole"), tmp_path / "t"
    whole.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", upstream.url, "parts/one")
    whole.git("commit", "-qm", "with a part")
    life, task = Life(tmp_path, {**allow, "PATH": os.environ["PATH"]}), Git(whole.url, str(tree), "main")
    life.apply(task)
    start = Fingerprinter().of(tree)
    upstream.commit("three")
    whole.git("-c", "protocol.file.allow=always", "submodule", "update", "--remote", "-q")
    whole.git("commit", "-qam", "another part")
    assert life.apply(task).action == "update"
    assert (tree / "parts/one/f").read_text() == "three"
    life.back()
    assert difference(start, Fingerprinter().of(tree)) == []


def test_files_changed_by_hand_are_refused_with_their_list_unless_forced(upstream: Upstream, tmp_path: Path) -> None:
    tree = tmp_path / "t"
    life, task = Life(tmp_path), Git(upstream.url, str(tree), "main")
    life.apply(task)
    (tree / "f").write_text("by hand")
    with pytest.raises(ResourceError, match="changed by hand") as caught:
        life.check(task)
    assert " M f" in caught.value.detail
    task.force = True
    assert life.check(task) == ["files"]
    life.apply(task)
    assert (tree / "f").read_text() == "two"
    life.back()
    assert (tree / "f").read_text() == "by hand"


def test_looking_changes_nothing(upstream: Upstream, tmp_path: Path) -> None:
    tree = tmp_path / "t"
    life, task = Life(tmp_path), Git(upstream.url, str(tree), "main")
    life.apply(task)
    os.utime(tree / "f")
    before = look(str(tree), whole=True)
    life.check(task)
    assert look(str(tree), whole=True) == before


def test_a_tag_that_was_moved_is_refused(upstream: Upstream, tmp_path: Path) -> None:
    life = Life(tmp_path)
    task = Git(upstream.url, str(tmp_path / "t"), "v1", verify_commit=upstream.first)
    life.apply(task)
    upstream.git("tag", "-f", "-a", "v1", "-m", "moved", upstream.second)
    with pytest.raises(ResourceError, match="not the commit that was expected"):
        life.check(task)
    assert _head(tmp_path / "t") == upstream.first


def test_another_address_is_a_change_of_its_own(upstream: Upstream, tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.apply(Git(upstream.url, str(tmp_path / "t"), "main"))
    moved = Git(str(upstream.path), str(tmp_path / "t"), "main")
    assert life.check(moved) == ["repo"]
    assert life.apply(moved).result["remote_url_changed"]
    assert life.check(moved) == []


def test_a_bare_repository_follows_its_branch(upstream: Upstream, tmp_path: Path) -> None:
    life, task = Life(tmp_path), Git(upstream.url, str(tmp_path / "b.git"), "main", bare=True)
    life.apply(task)
    assert life.check(task) == []
    upstream.commit("three")
    assert life.check(task) == ["version"]
    life.apply(task)
    assert life.check(task) == []
    assert life.check(Git(upstream.url, str(tmp_path / "b.git"), "v1", bare=True)) == []


def test_what_is_no_checkout_is_not_touched(upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    life, task = Life(tmp_path), Git(upstream.url, str(tmp_path / "t"), "main")
    assert life.check(task) == ["version"]
    (tmp_path / "t/precious").write_text("x")
    with pytest.raises(ResourceError, match="no git checkout"):
        life.check(task)


def test_a_failing_update_leaves_the_tree_as_it_was(upstream: Upstream, tmp_path: Path) -> None:
    tree = tmp_path / "t"
    life, task = Life(tmp_path), Git(upstream.url, str(tree), "main")
    life.apply(task)
    (upstream.path / "new").write_text("theirs")
    upstream.git("add", "new")
    upstream.commit("three")
    (tree / "new").write_text("mine")
    before = look(str(tree), whole=True)
    with pytest.raises(ResourceError, match="git checkout failed"):
        life.apply(task)
    assert look(str(tree), whole=True) == before


def test_a_version_that_is_nowhere_says_so(upstream: Upstream, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match='no branch or tag "v2"'):
        Life(tmp_path).apply(Git(upstream.url, str(tmp_path / "t"), "v2"))
    with pytest.raises(ResourceError, match="git ls-remote failed"):
        Life(tmp_path).apply(Git(f"file://{tmp_path}/none", str(tmp_path / "t"), "v2"))


def test_a_planned_checkout_is_known_and_its_inside_is_not(upstream: Upstream, tmp_path: Path) -> None:
    life, task = Life(tmp_path), Git(upstream.url, str(tmp_path / "t"), upstream.first)
    assert life.plan(task) == "create"
    assert life.plan(task) == "none"
    assert life.plan(Git(upstream.url, str(tmp_path / "t"), upstream.second)) == "update"
    with pytest.raises(Unpredictable):
        life.planning().read(str(tmp_path / "t/f"))


def test_a_blank_machine_needs_no_git_to_be_planned(upstream: Upstream, tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.planning().declare("package", "git", Package("git", "1", "installed", "all"))
    task = Git(upstream.url, str(tmp_path / "t"), "main", executable="git-of-tomorrow")
    assert life.plan(task) == "create"


def test_a_branch_wins_over_a_tag_and_an_annotated_tag_means_its_commit() -> None:
    a, b, c = "a" * 40, "b" * 40, "c" * 40
    assert read_references(f"{a}\trefs/heads/x\n{b}\trefs/tags/x\n", "x", "r") == (a, "refs/heads/x", "x")
    assert read_references(f"{b}\trefs/tags/x\n{c}\trefs/tags/x^{{}}\n", "x", "r") == (c, "refs/tags/x", "")
    assert read_references(f"ref: refs/heads/trunk\tHEAD\n{a}\tHEAD\n", "HEAD", "r") == (a, "HEAD", "trunk")
