from __future__ import annotations

import marshal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import BuildError, UsageError
from harness.images.initramfs.bytecode import Interpreter, precompiled
from harness.images.initramfs.cpio import Entry
from tests.support.bytecode import MINE, THIS, file, one

OTHER = f"python{sys.version_info[0]}.{sys.version_info[1] + 1}"


def test_bytecode_stands_in_the_place_of_its_source():
    entry = one(file(f"usr/lib/{THIS}/package/module.py"))
    assert (entry.name, entry.mode) == (
        f"usr/lib/{THIS}/package/module.pyc",
        stat.S_IFREG | 0o644,
    )
    assert (entry.uid, entry.gid) == (1, 2)
    assert entry.data[4:8] == b"\1\0\0\0"  # a hash, that nobody checks


def test_python_imports_it_without_source(tmp_path: Path):
    entry = one(file(f"usr/lib/{THIS}/module.py"))
    (tmp_path / "module.pyc").write_bytes(entry.data)
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import module; "
    said = subprocess.run(
        [sys.executable, "-ISBc", program + "print(module.double('a'), module.__doc__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "aa Doc.\n"


@pytest.mark.parametrize(
    "entry",
    [
        file(f"usr/lib/{OTHER}/module.py"),
        file(f"usr/lib/{THIS}/os.py", b""),
        file(f"usr/lib/{THIS}/data.txt"),
        file(f"opt/{THIS}/module.py"),
        file("init"),
        Entry(f"usr/lib/{THIS}/link.py", stat.S_IFLNK | 0o777, b"module.py"),
        Entry(f"usr/lib/{THIS}/dir.py", stat.S_IFDIR | 0o755),
    ],
    ids=lambda entry: entry.name,
)
def test_files_other_than_python_source_stay_unchanged(entry: Entry):
    assert one(entry) == entry


def test_the_order_of_files_stays():
    entries = [file("init"), file(f"usr/lib/{THIS}/b.py"), file(f"usr/lib/{THIS}/a.py")]
    assert [entry.name.rpartition("/")[2] for entry in precompiled(entries, lambda: MINE)] == [
        "init",
        "b.pyc",
        "a.pyc",
    ]


def test_bytes_follow_from_the_code_alone():
    data = one(file(f"usr/lib/{THIS}/module.py")).data[16:]
    code = marshal.loads(data)  # one with shared objects in it, as a fresh one has not
    assert marshal.dumps(code, 2) == data
    assert marshal.dumps(code) != data


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_reproducible_in_other_processes(seed: str):
    program = (
        "import sys\n"
        "from tests.support.bytecode import THIS, file, one\n"
        "sys.stdout.buffer.write(one(file(f'usr/lib/{THIS}/module.py')).data)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[4],
        env={"PYTHONHASHSEED": seed},
        capture_output=True,
        check=True,
    )
    assert said.stdout == one(file(f"usr/lib/{THIS}/module.py")).data


@pytest.mark.parametrize("source", [b"def broken(:\n", b"x = '\0'\n", b"\xff\n"])
def test_a_module_that_does_not_compile_is_named(source: bytes):
    with pytest.raises(UsageError, match=rf"/usr/lib/{THIS}/module\.py in the initramfs does not"):
        one(file(f"usr/lib/{THIS}/module.py", source))


def test_no_interpreter_is_asked_for_without_modules():
    entries = [file("init"), file(f"usr/lib/{THIS}/os.py", b"")]
    assert list(precompiled(entries, lambda: pytest.fail("it is not needed"))) == entries


def test_an_interpreter_that_does_not_run():
    broken = Interpreter(("/bin/sh", "-c", "echo no libm >&2; exit 127"), MINE.version)
    with pytest.raises(BuildError, match="cannot compile for the images: no libm"):
        list(precompiled([file(f"usr/lib/{THIS}/module.py")], lambda: broken))
