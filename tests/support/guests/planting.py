"""The program that plants content, images/crash/plant, in a fake system.

The memory of the system is a few mappings of this process; their frame numbers are invented.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import importlib.util
import mmap
import random
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.verify.planted_layout import HEADER_SIZE, Header, Kind, ledger_entries, listed_headers

PAGE = 4096
MEMORY = 40 << 20
SEED = 0x1234_5678_9ABC_DEF0
SLAB = range(2 << 20, 4 << 20)  # where the kernel has its messages
INIT_FRAMES = range((31 << 20) // PAGE, (32 << 20) // PAGE)
KERNEL_FRAMES = range((6 << 20) // PAGE)  # never ours
PLANT = Path(__file__).parents[3] / "images/crash/plant"


def load(name: str, path: Path) -> ModuleType:
    """Load a program of the guest as a module, with its name in the guest."""
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = written
    return module


writing = load("planted", PLANT.with_name("planted.py"))
plant = load("plant", PLANT)


def address_of(mapping: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(mapping))


@dataclass
class Mapping:
    content: mmap.mmap
    frames: list[int]


@dataclass
class FakeGuest:
    """A system of ``memory`` bytes; it hands out frames in a mixed order."""

    memory: int = MEMORY
    has_block_device: bool = True
    has_messages: bool = True
    rounds: list[int] = field(default_factory=lambda: [20 << 20, 4 << 20])
    calls: list[str] = field(default_factory=list)
    messages: dict[int, bytes] = field(default_factory=dict)  # by absolute address
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mappings: list[Mapping] = []
        source = random.Random(390)
        free = [frame for frame in range(self.memory // PAGE) if frame not in KERNEL_FRAMES]
        blocks = [free[at : at + 64] for at in range(0, len(free), 64)]
        source.shuffle(blocks)
        self._free = [frame for block in blocks for frame in block]
        self._slab = SLAB.start

    # the interface that plant() needs

    def frames(self) -> tuple[int, range]:
        return self.memory // PAGE, INIT_FRAMES

    def available(self) -> int:
        return self.rounds.pop(0)

    def anonymous(self, size: int) -> mmap.mmap:
        content = mmap.mmap(-1, size)
        count = size // PAGE
        self.mappings.append(Mapping(content, self._free[:count]))
        del self._free[:count]
        return content

    def file(self, kind: int) -> mmap.mmap | None:
        if kind == plant.BLOCK and not self.has_block_device:
            return None
        return self.anonymous(plant.FILE_PAGES[kind] * PAGE)

    def pagemap(self, address: int, pages: int) -> bytes:
        for mapping in self.mappings:
            first, rest = divmod(address - address_of(mapping.content), PAGE)
            if rest == 0 and 0 <= first < len(mapping.frames):
                frames = mapping.frames[first : first + pages]
                assert len(frames) == pages
                return struct.pack(f"{pages}Q", *(plant.PRESENT | 1 << 56 | at for at in frames))
        raise AssertionError(f"no mapping at {address:#x}")

    def settle(self) -> None:
        self.calls.append("settle")

    def lock(self) -> None:
        self.calls.append("lock")

    def compact(self) -> None:
        self.calls.append("compact")

    def drop_ballast(self) -> None:
        self.calls.append("drop ballast")

    def scrub(self, area: Any, pages: Any) -> None:
        self.calls.append("scrub")

    def send(self, queue: int, buffer: mmap.mmap, size: int) -> bool:
        """Store a message like the kernel: after a 48-byte header, in an object of 2^n bytes."""
        if self.has_messages:
            text = bytes(buffer[8 : 8 + size])
            self.messages[self._slab + 48] = text
            self._slab += 1 << (48 + size - 1).bit_length()
        return self.has_messages

    # for tests

    def plant(self, seed: int = SEED) -> FakeGuest:
        plant.plant(self, seed, self.said.append)
        return self

    def image(self) -> bytearray:
        """Absolute storage after planting."""
        image = bytearray(self.memory)
        for mapping in self.mappings:
            for page, frame in enumerate(mapping.frames):
                content = mapping.content[page * PAGE : (page + 1) * PAGE]
                image[frame * PAGE : (frame + 1) * PAGE] = content
        for address, text in self.messages.items():
            image[address : address + len(text)] = text
        return image


@dataclass(frozen=True)
class Content:
    """Planted memory, and the places of its content."""

    image: bytes = field(repr=False)
    headers: tuple[Header, ...] = field(repr=False)
    ledger: tuple[int, ...]
    messages: tuple[int, ...]
    total: int

    def pages(self, *kinds: Kind) -> list[int]:
        return sorted(
            header.address
            for header in self.headers
            if header.kind in kinds and header.kind is not Kind.MESSAGE
        )

    @property
    def data_pages(self) -> list[int]:
        return self.pages(Kind.ANONYMOUS, Kind.TMPFS, Kind.RAMFS, Kind.BLOCK)

    @property
    def free_page(self) -> int:
        """Content that was not planted."""
        taken = {header.address for header in self.headers} | set(self.ledger)
        return next(at for at in range(24 << 20, MEMORY, PAGE) if at not in taken)


def planted_memory(seed: int = SEED, **options: Any) -> Content:
    guest = FakeGuest(**options).plant(seed)
    image = guest.image()
    words = guest.said[-1].split()
    parts = {}
    for at in range(0, MEMORY, PAGE):
        header = Header.parse(image[at : at + HEADER_SIZE])
        if header is not None and header.kind is Kind.LEDGER:
            parts[header.index] = at
    entries = [
        entry
        for _, at in sorted(parts.items())
        for entry in ledger_entries(bytes(image[at : at + PAGE])) or ()
    ]
    return Content(
        bytes(image),
        listed_headers(entries, seed),
        tuple(at for _, at in sorted(parts.items())),
        tuple(sorted(guest.messages)),
        int(words[1]) + int(words[3]),
    )
