"""What a user's words for a kernel source mean, and what determines a kernel."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.images.command import Tools
from harness.images.kernel import source
from harness.images.kernel.build import Kernel, built_kernel
from harness.images.kernel.spec import KernelSpec, Role
from harness.images.store import Store
from harness.progress import NoProgress
from tests.support.git import commit, git

FILES = {"Makefile": "all:\n", "kernel/panic.c": "int panic;\n"}


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(tmp_path / "log", "a test")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "linux"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    git(root, "init", "-q", "-b", "main")
    commit(root, "first")
    return root


def content(directory: Path) -> dict[str, str]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_text() for path in files}


def test_a_commit_is_placed_without_the_repository(
    repository: Path, store: Store, tools: Tools, tmp_path: Path
):
    (repository / "Makefile").write_text("not committed\n")
    source.kernel_source(store, NoProgress(), str(repository)).place(tmp_path / "tree", tools)
    assert content(tmp_path / "tree") == FILES


def test_a_revision_chooses_the_commit(
    repository: Path, store: Store, tools: Tools, tmp_path: Path
):
    git(repository, "tag", "v1")
    (repository / "Makefile").write_text("second:\n")
    commit(repository, "second")
    old = source.kernel_source(store, NoProgress(), f"{repository}@v1")
    old.place(tmp_path / "tree", tools)
    assert content(tmp_path / "tree") == FILES
    assert old.identity != source.kernel_source(store, NoProgress(), str(repository)).identity


def test_commits_of_one_tree_are_one_source(repository: Path, store: Store):
    before = source.kernel_source(store, NoProgress(), str(repository)).identity
    commit(repository, "nothing but words")
    assert source.kernel_source(store, NoProgress(), str(repository)).identity == before


def test_a_source_tells_which_commit_it_is(repository: Path, store: Store, tmp_path: Path):
    named = source.kernel_source(store, NoProgress(), f"{repository}@main")
    assert named.commit == git(repository, "rev-parse", "HEAD")
    archive = tmp_path / "linux-1.0.tar"
    subprocess.run(["tar", "-cf", archive, "-C", tmp_path, "linux/Makefile"], check=True)
    assert source.kernel_source(store, NoProgress(), str(archive)).commit is None


def test_a_kernel_from_the_store_is_that_of_the_commit_that_was_asked_for(
    repository: Path, store: Store, monkeypatch: pytest.MonkeyPatch
):
    """Two commits with one tree share an image."""
    made = Kernel(Path("bzImage"), "6.12", "ab", "kernel-dump-1")
    monkeypatch.setattr(Store, "get", lambda *_: None)
    monkeypatch.setattr("harness.images.kernel.build.kernel_from_store", lambda _: made)
    second = commit(repository, "nothing but words")
    kernel = built_kernel(store, KernelSpec(Role.DUMP, str(repository)), NoProgress())
    assert kernel.identity()["commit"] == second
    assert "commit" not in made.identity()


def test_an_archive_is_unpacked_once(repository: Path, store: Store, tools: Tools, tmp_path: Path):
    archive = tmp_path / "linux-1.0.tar.xz"
    subprocess.run(["tar", "-cJf", archive, "-C", tmp_path, "linux/Makefile"], check=True)
    first = source.kernel_source(store, NoProgress(), str(archive))
    again = source.kernel_source(store, NoProgress(), str(archive))
    assert first == again
    first.place(tmp_path / "tree", tools)
    assert content(tmp_path / "tree") == {"Makefile": FILES["Makefile"]}


def test_a_patch_leaves_the_stored_tree_alone(
    repository: Path, store: Store, tools: Tools, tmp_path: Path
):
    archive = tmp_path / "linux-1.0.tar"
    subprocess.run(["tar", "-cf", archive, "-C", tmp_path, "linux/Makefile"], check=True)
    patch = tmp_path / "a.patch"
    patch.write_text("--- a/Makefile\n+++ b/Makefile\n@@ -1 +1 @@\n-all:\n+none:\n")
    found = source.kernel_source(store, NoProgress(), str(archive))
    found.place(tmp_path / "tree", tools)
    source.apply(patch, tmp_path / "tree", tools)
    found.place(tmp_path / "unchanged", tools)
    assert content(tmp_path / "tree") == {"Makefile": "none:\n"}
    assert content(tmp_path / "unchanged") == {"Makefile": FILES["Makefile"]}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("linux-sauce-6.1", "there is no kernel source 'linux-sauce-6.1'"),
        ("no/such/repository@v6.1", "there is no kernel source"),
        ("{repository}@v9", "no commit 'v9'"),
        ("{repository}@--help", "no commit '--help'"),
    ],
)
def test_an_unknown_source_is_refused(repository: Path, store: Store, text: str, what: str):
    with pytest.raises(UsageError) as refused:
        source.kernel_source(store, NoProgress(), text.format(repository=repository))
    assert what in refused.value.message
    assert refused.value.hint is not None


def test_a_directory_without_git_is_refused(store: Store, tmp_path: Path):
    with pytest.raises(UsageError, match="not a git repository"):
        source.kernel_source(store, NoProgress(), str(tmp_path))


def test_a_home_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "linux").mkdir()
    git(tmp_path / "linux", "init", "-q", "-b", "main")
    (tmp_path / "linux/Makefile").write_text("all:\n")
    commit(tmp_path / "linux", "one")
    monkeypatch.setenv("HOME", str(tmp_path))
    store = Store(tmp_path / "store", NoProgress())
    assert "git tree" in source.kernel_source(store, NoProgress(), "~/linux@HEAD").identity
