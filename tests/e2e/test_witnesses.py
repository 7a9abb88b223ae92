"""A system that was asked what it looks like: its dump shows that; a damaged one does not."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from drgn import Object, RelocatableModule, container_of
from drgn.helpers.linux.fs import path_lookup
from drgn.helpers.linux.mm import page_to_phys
from drgn.helpers.linux.pid import find_task
from drgn.helpers.linux.xarray import xa_load

from harness.dump.formats.elf.reader import ElfDump
from harness.evidence.witnesses import Witnesses
from harness.verify.semantic.drgn_reader.target import open_kernel
from tests.support.dumps.victim import Victim, vmlinux_of

pytestmark = pytest.mark.e2e

FILES = 100
SCENARIO = """
description = "a system that was asked, with a module"
[crashed]
memory = "256M"
trigger = "oops-hardirq"
witnesses = true
"""
FILE = "/tmp/zharness-witness/outer/inner/file-1"  # of more than 64 pages, below two mounts


def check(document: Any) -> Any:
    (found,) = [check for check in document["checks"] if check["check"] == "witnesses"]
    return found


@pytest.fixture(scope="module")
def run(zharness, images, tmp_path_factory) -> Path:
    """The evidence of the run."""
    work = tmp_path_factory.mktemp("witnesses")
    (work / "asked.toml").write_text(SCENARIO)
    done = zharness("run", work / "asked.toml", "--json", "--output", work / "evidence")
    assert done.code == 0, done.out + done.err
    return work / "evidence"


def test_the_dump_shows_what_the_system_said(run):
    told = Witnesses.load(run / "crash")
    assert told is not None
    made = [file for file in told.files or () if file.offset is not None]
    assert len(made) == FILES
    assert [module.name for module in told.modules or ()] == ["zcrash"]
    found = check(json.loads((run / "verdict.json").read_bytes()))
    assert found["passed"], found
    assert found["compared"] > FILES + 100
    notes = {note.partition(":")[0]: note for note in found["notes"]}
    assert "the code of 1 was compared with their files" in notes["modules"]
    assert f"{len(told.files or ())} files found by path" in notes["page cache"]


@pytest.fixture
def victim(run, tmp_path) -> Iterator[Victim]:
    source, evidence = run, tmp_path / "evidence"
    subprocess.run(["cp", "-r", "--sparse=always", source, evidence], check=True)
    path = source / "dump/dump"
    with ElfDump.open(path) as dump:
        yield Victim(evidence, dump, open_kernel(dump, path, vmlinux_of(source)))


def found(victim: Victim, path: str) -> Object:
    """``struct path``, as process 1 sees it."""
    return path_lookup(find_task(victim.program, 1).fs.root, path)


def pointer(value: Object | int) -> bytes:
    return int(value).to_bytes(8, "big")


def at(victim: Victim, address: int) -> Object:
    return Object(victim.program, "char", address=address)


def cached_page(victim: Victim) -> str:
    pages = found(victim, FILE).dentry.d_inode.i_mapping.i_pages
    page = Object(victim.program, "struct page *", int(xa_load(pages.address_of_(), 3)))
    victim.overwrite_physical(int(page_to_phys(page)) + 17, b"X")
    return f"page cache: {FILE} (tmpfs): 1 of 272 pages do not have the file's content: page 3"


def node_that_leads_to_itself(victim: Victim) -> str:
    pages = found(victim, FILE).dentry.d_inode.i_mapping.i_pages
    head = int(pages.xa_head)
    node = Object(victim.program, "struct xa_node", address=head & ~3)
    victim.overwrite(node.slots[0], pointer(head))
    return f"page cache: {FILE}: an XArray's node at "


def name_of_a_file(victim: Victim) -> str:
    name = int(found(victim, FILE).dentry.d_name.name)
    victim.overwrite(at(victim, name), b"F")
    return f"page cache: {FILE}: "


def code_of_a_module(victim: Victim) -> str:
    for module, _ in victim.program.loaded_modules():
        if isinstance(module, RelocatableModule) and module.name == "zcrash":
            text = module.section_addresses[".text"]
            victim.overwrite(at(victim, text + 0x30), b"\xff\xff")
    return "modules: zcrash: .text+0x30 is ffff"


def list_of_modules(victim: Victim) -> str:
    head = victim.program["modules"]
    victim.overwrite(head.next, pointer(head.address_of_()))
    victim.overwrite(head.prev, pointer(head.address_of_()))
    return "modules: the dump has no module zcrash, which the system had"


def mount_that_is_left_out(victim: Victim) -> str:
    mount = container_of(found(victim, FILE).mnt.read_(), "struct mount", "mnt")
    head = mount.mnt_parent.mnt_mounts
    victim.overwrite(head.next, pointer(head.address_of_()))
    return f"mounts: the dump has no mount {int(mount.mnt_id)}, which the system had"


def mounts_without_an_end(victim: Victim) -> str:
    mount = container_of(found(victim, FILE).mnt.read_(), "struct mount", "mnt")
    victim.overwrite(mount.mnt_child.next, pointer(mount.mnt_child.address_of_()))
    return "mounts: Broken: there are more than "


def list_of_superblocks(victim: Victim) -> str:
    head = victim.program["super_blocks"]
    victim.overwrite(head.next, pointer(head.address_of_()))
    return "mounts: the superblock of / is not in the list of superblocks"


def name_of_a_thread(victim: Victim) -> str:
    victim.overwrite(find_task(victim.program, 2).comm, b"K")
    return "tasks: kthreadd (pid 2): is named 'Kthreadd' in the dump"


def number_of_tasks(victim: Victim) -> str:
    victim.overwrite(victim.program["nr_threads"], (9999).to_bytes(4, "big"))
    return "tasks: "


DAMAGES: tuple[Callable[[Victim], str], ...] = (
    *(cached_page, node_that_leads_to_itself, name_of_a_file, code_of_a_module),
    *(list_of_modules, mount_that_is_left_out, mounts_without_an_end, list_of_superblocks),
    *(name_of_a_thread, number_of_tasks),
)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_named(zharness, victim, damage):
    expected = damage(victim)
    done = zharness("verify", victim.evidence, "--json")
    assert done.code == 1, done.err
    messages = [finding["message"] for finding in check(done.json)["findings"]]
    assert any(message.startswith(expected) for message in messages), messages
