"""dpkg's database of unpacked packages, read by dpkg itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import BuildError
from harness.images.system.database import ADMIN, interests, stanza, unpack, write_database
from harness.images.system.deb import Deb
from harness.images.system.tree import Tree
from tests.support.packages.debs import CONTROL, file, make_deb

SAME = CONTROL + "Multi-Arch: same\n"
INFO = {
    "md5sums": "d41d8cd98f00b204e9800998ecf8427e  usr/bin/one\n",
    "conffiles": "/etc/one.conf\nremove-on-upgrade /etc/old.conf\n",
    "postinst": "#!/bin/sh\n",
    "triggers": "# none\ninterest-noawait /usr/share/one\ninterest one-named\nactivate ldconfig\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree with two packages."""
    tree = Tree.create(tmp_path / "root")
    debs = [
        make_deb(tmp_path / "one_1.deb", [file("./etc/one.conf"), file("./usr/bin/one")], INFO),
        make_deb(tmp_path / "libtwo_1.deb", [file("./lib/libtwo.so")], control=SAME),
    ]
    write_database(tree, [unpack(Deb.read(deb), tree) for deb in debs])
    return tree.root


def dpkg_query(root: Path, *arguments: str) -> str:
    admin = f"--admindir={root}{ADMIN}"
    return subprocess.run(
        ["dpkg-query", admin, *arguments], capture_output=True, text=True, check=True
    ).stdout


def test_dpkg_reads_it(root: Path) -> None:
    shown = dpkg_query(root, "-W", "-f", "${Package} ${Version} ${Status}\n")
    assert shown == "libtwo 1.0-1 install ok unpacked\none 1.0-1 install ok unpacked\n"
    assert dpkg_query(root, "-L", "one").split() == ["/etc/one.conf", "/usr/bin/one"]
    assert dpkg_query(root, "-L", "libtwo:s390x").split() == ["/lib/libtwo.so"]
    digest = "9dd4e461268c8034f5c8564e155c67a6"  # of "x"
    assert dpkg_query(root, "-W", "-f", "${Conffiles}", "one") == f" /etc/one.conf {digest}"


def test_scripts_can_be_run_and_other_files_cannot(root: Path) -> None:
    info = root / ADMIN.lstrip("/") / "info"
    assert (info / "one.postinst").stat().st_mode & 0o777 == 0o755
    assert (info / "one.md5sums").stat().st_mode & 0o777 == 0o644
    assert not (info / "one.control").exists()


def test_triggers_find_who_is_interested(root: Path) -> None:
    triggers = root / ADMIN.lstrip("/") / "triggers"
    assert (triggers / "File").read_text() == "/usr/share/one one/noawait\n"
    assert (triggers / "one-named").read_text() == "one\n"
    assert not (triggers / "ldconfig").exists()


def test_a_package_that_is_damaged(tmp_path: Path) -> None:
    deb = make_deb(tmp_path / "one_1.deb", [file("./etc/one", b"x" * 100_000)])
    whole = deb.read_bytes()
    deb.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BuildError, match=r"one_1\.deb") as failure:
        unpack(Deb.read(deb), Tree.create(tmp_path / "root"))
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("name", ["../x", "a b", "UPPER"])
def test_a_package_with_a_name_that_is_none(tmp_path: Path, name: str) -> None:
    control = CONTROL.replace("{name}", name)
    deb = make_deb(tmp_path / "one_1.deb", [], control=control)
    with pytest.raises(BuildError, match="is no name of a package"):
        Deb.read(deb)


word = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=2, max_size=12)
fields = st.dictionaries(word.map(str.capitalize), word, max_size=5)
conffiles = st.lists(st.tuples(word.map("/etc/{}".format), st.just("0" * 32)), max_size=3)


@given(word, fields, conffiles)
def test_status_gives_back_what_control_says(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    more: dict[str, str],
    conffiles: list[tuple[str, str]],
) -> None:
    control = CONTROL.format(name=name) + "".join(f"X-{k}: {v}\n" for k, v in more.items())
    text = stanza(Deb(Path("x.deb"), control, {}), conffiles)
    written = Deb(Path("status"), text, {})
    assert written.name == name
    assert written.field("Status") == "install ok unpacked"
    assert {key: written.field(f"X-{key}") for key in more} == more
    assert text.count("\n\n") == 0
    assert all(f" {path} {digest}\n" in text for path, digest in conffiles)


def test_interests_of_a_package_of_one_architecture(tmp_path: Path) -> None:
    deb = Deb(Path("x"), SAME.format(name="libtwo"), {"triggers": b"interest-await name\n"})
    assert list(interests(deb)) == [("name", "libtwo:s390x")]
