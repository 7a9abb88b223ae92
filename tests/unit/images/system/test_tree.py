"""Packages unpacked into a directory: what they may have, and that they stay in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import BuildError
from harness.images.system.database import unpack
from harness.images.system.deb import Deb
from harness.images.system.tree import Special, Tree
from tests.support.packages.debs import Member, device, directory, file, hard_link, link, make_deb


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree.create(tmp_path / "root")


@pytest.fixture
def put(tree: Tree, tmp_path: Path) -> Callable[..., tuple[str, ...]]:
    def put(*members: Member) -> tuple[str, ...]:
        number = len(list(tmp_path.iterdir()))
        deb = make_deb(tmp_path / f"one{number}_1.deb", members)
        return unpack(Deb.read(deb), tree).paths

    return put


def test_files_directories_and_links(tree: Tree, put: Callable[..., tuple[str, ...]]) -> None:
    paths = put(
        directory("./"),
        directory("./etc/"),
        file("./etc/one", b"content", 0o640),
        link("./etc/two", "one"),
        hard_link("./etc/three", "./etc/one"),
    )
    assert paths == ("/.", "/etc", "/etc/one", "/etc/two", "/etc/three")
    etc = tree.root / "etc"
    assert (etc / "one").read_bytes() == b"content"
    assert (etc / "one").stat().st_mode & 0o7777 == 0o640
    assert (etc / "two").readlink() == Path("one")
    assert (etc / "three").samefile(etc / "one")
    assert tree.special == {}


def test_merged_usr_stays_merged(tree: Tree, put: Callable[..., tuple[str, ...]]) -> None:
    paths = put(directory("./bin/"), file("./bin/sh"), link("./sbin", "usr/sbin"))
    assert paths == ("/bin", "/bin/sh", "/sbin"), "dpkg lists the names of the package"
    assert (tree.root / "bin").readlink() == Path("usr/bin")
    assert (tree.root / "usr/bin/sh").is_file()


def test_a_link_on_the_way_is_followed_within_the_tree(
    tree: Tree, put: Callable[..., tuple[str, ...]], tmp_path: Path
) -> None:
    put(link("./var/run", "/run"), link("./deep", "../../../outside"), link("./out", str(tmp_path)))
    put(file("./var/run/pid"), file("./deep/a"), file("./out/b"))
    assert (tree.root / "run/pid").is_file()
    assert (tree.root / "outside/a").is_file()
    assert tree.root.joinpath(*tmp_path.parts[1:], "b").is_file()
    assert not (tmp_path / "b").exists()


def test_a_file_replaces_a_link_and_does_not_follow_it(
    tree: Tree, put: Callable[..., tuple[str, ...]], tmp_path: Path
) -> None:
    (tmp_path / "victim").write_text("mine")
    put(link("./etc/name", str(tmp_path / "victim")))
    put(file("./etc/name", b"package's"))
    assert (tmp_path / "victim").read_text() == "mine"
    assert not (tree.root / "etc/name").is_symlink()


def test_a_loop_of_links_is_refused(put: Callable[..., tuple[str, ...]]) -> None:
    put(link("./a", "b"), link("./b", "a"))
    with pytest.raises(BuildError, match="too many symbolic links"):
        put(file("./a/c"))


@pytest.mark.parametrize(
    "member",
    [
        file("/etc/passwd"),
        file("./../passwd"),
        file("./etc/../../passwd"),
        directory(".."),
        device("./dev/null"),
        hard_link("./etc/shadow", "/etc/shadow"),
        hard_link("./etc/shadow", "./nowhere/file"),
    ],
)
def test_what_no_package_may_have(put: Callable[..., tuple[str, ...]], member: Member) -> None:
    with pytest.raises(BuildError) as refused:
        put(member)
    assert "\n" not in str(refused.value)


def test_owners_and_modes_that_the_user_cannot_give(
    tree: Tree, put: Callable[..., tuple[str, ...]]
) -> None:
    put(
        file("./etc/shadow", mode=0o640, gid=42),
        file("./usr/bin/passwd", mode=0o4755),
        file("./etc/unreadable", mode=0o000),
        directory("./var/local/", 0o2775, gid=50),
        file("./bin/write", mode=0o2755, gid=5),
    )
    assert tree.special == {
        "etc/shadow": Special(0, 42, 0o640),
        "etc/unreadable": Special(0, 0, 0),
        "var/local": Special(0, 50, 0o2775),
        "usr/bin/write": Special(0, 5, 0o2755),
    }
    assert (tree.root / "usr/bin/passwd").stat().st_mode & 0o7777 == 0o4755
    assert os.access(tree.root / "etc/unreadable", os.R_OK), "mke2fs has to read it"


names = st.text(st.sampled_from("ab./"), min_size=1, max_size=12)


@given(st.lists(st.tuples(names, st.sampled_from(["file", "dir", "link"]), names), max_size=8))
def test_nothing_is_ever_written_outside(
    tmp_path_factory: pytest.TempPathFactory, members: list[tuple[str, str, str]]
) -> None:
    place = tmp_path_factory.mktemp("tree")
    tree = Tree.create(place / "root")
    for name, kind, target in members:
        made = {"file": file(name), "dir": directory(name), "link": link(name, target)}[kind]
        try:
            tree.add(made[0], __import__("io").BytesIO(made[1]) if kind == "file" else None)
        except BuildError:
            continue
    assert [path.name for path in place.iterdir()] == ["root"]
