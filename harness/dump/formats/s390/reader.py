"""Reader of s390 stand-alone dumps in the plain form: a header, all memory, an end marker.

References: s390-tools ``zdump/dfi_s390.c`` and ``zdump/df_s390.c``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from harness.dump.byte_source import ByteSource
from harness.dump.formats.s390.c_s390 import (
    DF_S390_ARCH_64,
    DF_S390_CPU_MAX,
    DF_S390_EM_STR,
    DF_S390_HDR_SIZE,
    EM_SIZE,
    LC_VEC_OFFSET,
    LC_VEC_VERSION,
    SECTOR,
    c_s390,
)
from harness.dump.formats.s390.registers import stored_cpu
from harness.dump.reader import Dump, Range, Segment
from harness.errors import EvidenceError
from harness.s390x.cpu import CpuState
from harness.s390x.lowcore import PAGE_SIZE, PREFIX_AREA_SIZE

_NO_FACTS = ("magic", "pad", "end_pad1", "end_pad2", "lc_vec")


class S390Dump(Dump):
    """A plain s390 dump in ``content``; only its header is read at once."""

    format = "s390"
    lc_vec_version = LC_VEC_VERSION

    def __init__(self, content: ByteSource) -> None:
        """Raises EvidenceError, naming offset and field, if the header is not of such a dump."""
        self.content, self.name = content, content.name
        self.header = parse_header(content)
        self.segments = (Segment(0, self.header.mem_size, self._memory()),)

    def _memory(self) -> ByteSource:
        return self.content.part(DF_S390_HDR_SIZE, self.header.mem_size)

    @cached_property
    def cpus(self) -> tuple[CpuState, ...]:
        """From the status areas, in the order of the header's prefixes (lc_vec)."""
        return tuple(map(self._cpu, range(len(self._prefixes))))

    @property
    def cpus_in_reach(self) -> tuple[CpuState, ...]:
        if self.withheld is None:
            return self.cpus
        end = self.withheld.start - PREFIX_AREA_SIZE
        return tuple(self._cpu(at) for at, prefix in enumerate(self._prefixes) if prefix <= end)

    def _cpu(self, number: int) -> CpuState:
        prefix = self._prefixes[number]
        try:
            return stored_cpu(self.read, prefix, self.header.mem_size)
        except EvidenceError as error:
            raise EvidenceError(
                f"{self.name}: CPU {number}: no registers for the prefix {prefix:#x} at offset "
                f"{LC_VEC_OFFSET + 4 * number:#x} (lc_vec): "
                f"{error.without(self.name)}"
            ) from error

    @property
    def _prefixes(self) -> tuple[int, ...]:
        known = self.header.version >= self.lc_vec_version
        return tuple(self.header.lc_vec[: self.header.cpu_cnt]) if known else ()

    @property
    def end_marker_at(self) -> int:
        """Offset behind all memory."""
        return DF_S390_HDR_SIZE + self.header.mem_size

    @property
    def length(self) -> int:
        """To the end marker, with zeros up to the end of its sector if they are there."""
        end = self.end_marker_at + EM_SIZE
        rest = self.content.upto(end, -end % SECTOR) if end < self.content.size else b""
        return end if any(rest) else end + len(rest)

    @cached_property
    def end_tod(self) -> int | None:
        """When the dump was finished, by the TOD clock; None if there is no end marker."""
        at = self.end_marker_at
        data = self.content.upto(at, EM_SIZE) if at < self.content.size else b""
        marker = c_s390.df_s390_em(data) if len(data) == EM_SIZE else None
        return marker.tod if marker and marker.str == DF_S390_EM_STR else None

    @property
    def facts(self) -> Mapping[str, object]:
        """The header's fields without pads and lc_vec, and ``em.tod`` from the end marker."""
        found = {
            name: getattr(self.header, name)
            for name in c_s390.df_s390_hdr.fields
            if name not in _NO_FACTS
        }
        return found if self.end_tod is None else found | {"em.tod": self.end_tod}

    @property
    def incomplete(self) -> str | None:
        """The reason, if the end marker is missing or older than the header; else None."""
        place = f"offset {self.end_marker_at:#x}"
        if self.end_tod is None:
            return f"no end marker ({DF_S390_EM_STR.decode()}) at {place}: it is written last"
        if self.end_tod < self.header.tod:
            return (
                f"the end marker at {place} is an older dump's: its tod {self.end_tod:#x} is "
                f"before the header's {self.header.tod:#x}"
            )
        return None

    @property
    def limited(self) -> Range | None:
        """By mem_size_real; zipl's tools and zfcpdump can be told how much memory to dump."""
        size, real = self.header.mem_size, self.header.mem_size_real
        return Range(size, real) if size < real else None

    @property
    def contradictions(self) -> tuple[str, ...]:
        """Compare what zipl's tools write more than once: size of memory, and prefixes.

        Source: s390-tools ``zipl/boot/stage2dump.c`` (mem_and_cpu_init, copy_lowcore_64).
        """
        header = self.header
        said = (
            ("mem_end", header.mem_end, header.mem_size),
            ("num_pages", header.num_pages, header.mem_size // PAGE_SIZE % (1 << 32)),
        )
        return (
            *(
                f"{name} is {found:#x}, mem_size {header.mem_size:#x}"
                for name, found, want in said
                if found != want
            ),
            *self._other_prefixes(),
        )

    def _other_prefixes(self) -> Iterator[str]:
        try:
            cpus = self.cpus
        except EvidenceError:
            return
        for number, (prefix, cpu) in enumerate(zip(self._prefixes, cpus, strict=True)):
            if prefix != cpu.prefix:
                yield (
                    f"CPU {number}: the prefix is {prefix:#x} in the header (lc_vec), "
                    f"{cpu.prefix:#x} in the registers that are kept there"
                )


def parse_header(content: ByteSource) -> c_s390.df_s390_hdr:
    """A checked ``df_s390_hdr``, plain or extended.

    Raises EvidenceError, naming offset and field, for a dump of a 31-bit system, a dump on several
    volumes, or any other data.
    """
    name = content.name
    header = c_s390.df_s390_hdr(content.read(0, DF_S390_HDR_SIZE, "s390 dump header"))
    if header.mvdump:
        raise EvidenceError(
            f"{name}: offset 0x5c: mvdump is {header.mvdump}: volume {header.volnr} of a dump on "
            "several volumes",
            hint="let zgetdump copy it from the volumes into one file",
        )
    for field, at, want in (
        ("hdr_size", 0x0C, DF_S390_HDR_SIZE),
        ("page_size", 0x14, PAGE_SIZE),
        ("mem_start", 0x20, 0),
        ("arch", 0x48, DF_S390_ARCH_64),
    ):
        found = getattr(header, field)
        if found != want:
            raise EvidenceError(f"{name}: offset {at:#x}: {field} is {found}, not {want}")
    if header.cpu_cnt > DF_S390_CPU_MAX:
        raise EvidenceError(
            f"{name}: offset 0x5d: cpu_cnt is {header.cpu_cnt}, more than {DF_S390_CPU_MAX}"
        )
    return header
