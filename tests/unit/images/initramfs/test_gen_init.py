from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.host.paths import data_dir
from harness.images.initramfs import gen_init
from harness.images.initramfs.cpio import Entry


def entries(directory: Path, text: str, **variables: str) -> list[Entry]:
    path = directory / "test.list"
    path.write_text(text)
    return list(gen_init.parse([path], variables))


def mistake(directory: Path, text: str, **variables: str) -> str:
    with pytest.raises(UsageError) as caught:
        entries(directory, text, **variables)
    return caught.value.message.removeprefix(f"{directory}/")


def test_every_kind(tmp_path: Path):
    (tmp_path / "content").write_bytes(b"hello")
    text = """# a comment
        dir /bin 0755 1 2

        file /bin/a ${WHERE}/content 0644 3 4
        file /bin/b ${WHERE}/content 04755 0 0 /bin/b1 /bin/b2
        nod /dev/console 0600 0 0 c 5 1
        nod /dev/ram0 660 0 6 b 1 0
        slink /bin/sh a 0777 0 0
        pipe /p 0600 0 0
        sock /s 0600 0 0
    """
    assert entries(tmp_path, text, WHERE=str(tmp_path)) == [
        Entry("bin", stat.S_IFDIR | 0o755, uid=1, gid=2),
        Entry("bin/a", stat.S_IFREG | 0o644, b"hello", uid=3, gid=4),
        Entry("bin/b", stat.S_IFREG | 0o4755, b"hello", links=("bin/b1", "bin/b2")),
        Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)),
        Entry("dev/ram0", stat.S_IFBLK | 0o660, gid=6, device=(1, 0)),
        Entry("bin/sh", stat.S_IFLNK | 0o777, b"a"),
        Entry("p", stat.S_IFIFO | 0o600),
        Entry("s", stat.S_IFSOCK | 0o600),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("directory /a 0755 0 0", "'directory' is none of file, dir, nod, slink, pipe, sock"),
        ("dir /a 0755 0", "dir wants: name mode uid gid"),
        ("dir /a 0755 0 0 0", "dir wants: name mode uid gid"),
        ("dir / 0755 0 0", "name '/' names nothing"),
        ("dir /a 0789 0 0", "mode '0789' is no octal number"),
        ("dir /a 0o755 0 0", "mode '0o755' is no octal number"),
        ("dir /a 010000 0 0", "mode 010000 is too large"),
        ("dir /a 0755 root 0", "uid 'root' is no number"),
        ("dir /a 0755 0 -1", "gid '-1' is no number"),
        ("dir /a 0755 0 4294967295", "gid 4294967295 is too large"),
        ("nod /a 0600 0 0 d 1 1", "dev_type 'd' is neither b nor c"),
        ("nod /a 0600 0 0 c 1_0 1", "maj '1_0' is no number"),
        ("nod /a 0600 0 0 c 4096 1", "maj 4096 is too large"),
        ("nod /a 0600 0 0 c 1 1048576", "min 1048576 is too large"),
        ("file /a ${ROOT}/x 0644 0 0", "location: no variable 'ROOT', only HERE"),
        ("file /a /nowhere/x 0644 0 0", "location /nowhere/x: No such file or directory"),
        ("file /a ${HERE} 0644 0 0", "location {here}: Is a directory"),
        ("file /a x\0y 0644 0 0", "location 'x\\x00y' is no path"),
        ("file /b/a /dev/null 0644 0 0", "name: no line before this one makes the directory /b"),
        ("file /a /dev/null 0644 0 0 /c/a", "name: no line before this one makes the directory /c"),
    ],
)
def test_mistakes_name_list_line_and_field(tmp_path: Path, line: str, message: str):
    expected = f"test.list:3: {message.format(here=tmp_path)}"
    assert mistake(tmp_path, f"# first\n\n{line}\n", HERE=str(tmp_path)) == expected


def test_missing_list(tmp_path: Path):
    with pytest.raises(UsageError, match=r"none\.list: No such file"):
        list(gen_init.parse([tmp_path / "none.list"], {}))


def test_a_later_list_may_use_directories_of_an_earlier_one(tmp_path: Path):
    (tmp_path / "1").write_text("dir /a 0755 0 0\nslink /b a 0777 0 0\n")
    (tmp_path / "2").write_text("pipe /a/p 0600 0 0\npipe /b/q 0600 0 0\n")
    both = gen_init.parse([tmp_path / "1", tmp_path / "2"], {})
    assert [entry.name for entry in both] == ["a", "b", "a/p", "b/q"]
    with pytest.raises(UsageError, match="2:1: name: no line before this one makes"):
        list(gen_init.parse([tmp_path / "2", tmp_path / "1"], {}))


def test_only_braces_make_a_variable(tmp_path: Path):
    (tmp_path / "$HOME").write_bytes(b"x")
    (only,) = entries(tmp_path, "file /a ${D}/$HOME 0644 0 0", D=str(tmp_path))
    assert only.data == b"x"


def test_names_that_are_not_utf_8_or_hold_unicode_blanks(tmp_path: Path):
    path = tmp_path / "test.list"
    path.write_bytes(b"dir /a\xff 0755 0 0\ndir /b\xc2\xa0c 0755 0 0\r\n")
    first, second = gen_init.parse([path], {})
    assert (first.name, second.name) == ("a\udcff", "b\xa0c")


@given(text=st.text(max_size=200))
def test_any_text_is_entries_or_a_usage_error(text: str, tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.getbasetemp() / "any.list"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        assert all(entry.name for entry in gen_init.parse([path], {}))
    except UsageError as error:
        assert str(path) in error.message  # noqa: PT017 - either outcome is right


APPENDED_TO = {
    "content": "crash/crashed.list",
    "crash": "builder/builder.list",
    "e2fsck": "dump/zfcpdump.list",
    "files": "builder/builder.list",
    "judge": "builder/builder.list",
    "libraries": "builder/builder.list",
    "newer": "builder/builder.list",
    "payload-ramdisk": "builder/payload.list",
}


@pytest.mark.parametrize(
    "path", sorted((data_dir() / "images").rglob("*.list")), ids=lambda path: path.stem
)
def test_own_lists_name_what_they_need_in_order(path: Path, tmp_path: Path):
    """The project's lists are well-formed; the files of packages are not needed for that."""
    before = APPENDED_TO.get(path.stem)
    lists = [path] if before is None else [data_dir() / "images" / before, path]
    copies = []
    for number, source in enumerate(lists):
        copy = tmp_path / f"{number}.list"
        lines = source.read_text().splitlines()
        copy.write_text(
            "".join(
                " ".join([*words[:2], "/dev/null", *words[3:]]) + "\n"
                if (words := line.split())[:1] == ["file"]
                else line + "\n"
                for line in lines
            )
        )
        copies.append(copy)
    assert list(gen_init.parse(copies, {}))
