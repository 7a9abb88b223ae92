"""One kernel build, out of tree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BuildError
from harness.host.paths import data_dir
from harness.host.tools import require_tools
from harness.images.command import Tools
from harness.images.kernel import configuration
from harness.images.kernel.dependencies import Loss, losses

WHY = data_dir() / "images" / "kernel" / "why.c"
COMPILE = data_dir() / "images" / "kernel" / "zharness-cc"
CROSS_COMPILE = "s390x-linux-gnu-"
NEEDED_TOOLS = ("make", "gcc", f"{CROSS_COMPILE}gcc", "bc", "bison", "flex")

_OBJECTS = Path("objects")
_PROGRAMS = _OBJECTS / "programs"
# a name that kbuild takes for an archive that is compressed already (Linux usr/Makefile)
_BUILT_IN = "initramfs.cpio.gz"

# what each build makes anew: what is linked from the other objects, the number of the build, and
# what belongs to this harness
_NOT_KEPT = ("vmlinux*", ".tmp_vmlinux*", "bzImage", ".version", "./programs")
_OBJECT_LINE = re.compile(r"  [A-Z]+ +\S")


@dataclass(frozen=True)
class Configured:
    """What was left out of a configuration.

    ``unknown``: options that the source does not define. ``given_way``: an option of the fragment
    -> the one that was asked for in its place, because only one of their choice can be set.
    """

    unknown: tuple[str, ...]
    given_way: Mapping[str, str]

    def lines(self) -> list[str]:
        """For people."""
        lines = [
            f"{old} gives way to {new} of the same choice" for old, new in self.given_way.items()
        ]
        if self.unknown:
            lines.append(
                f"left out, because this source does not define it: {', '.join(self.unknown)}"
            )
        return lines


class Make:
    """Builds the source in ``tree`` into the directory ``objects`` below it.

    Because it is below, kbuild uses relative paths of the source, and a command is the same in each
    tree: ccache takes equal files for equal, and kbuild does not compile again what is there.
    ``tools`` have the ``environment`` for this tree.
    """

    def __init__(self, tree: Path, tools: Tools) -> None:
        require_tools(NEEDED_TOOLS)
        self.objects, self._tree, self._tools = tree / _OBJECTS, tree, tools
        program = tree / _PROGRAMS / COMPILE.name
        program.parent.mkdir(parents=True)
        shutil.copyfile(COMPILE, program)
        program.chmod(0o755)
        host_cache = "ccache " if shutil.which("ccache") else ""
        self._make = (
            "make",
            f"-C{tree}",
            f"O={self.objects}",
            "ARCH=s390",
            f"CROSS_COMPILE={CROSS_COMPILE}",
            f"CC={COMPILE.name} {CROSS_COMPILE}gcc",
            f"HOSTCC={host_cache}gcc",
        )

    def keep(self, archive: Path) -> None:
        """Archive all objects of the compiled kernel, but for what is linked from others."""
        left_out = [f"--exclude={pattern}" for pattern in _NOT_KEPT]
        to = ["tar", "--format=posix", "-c", "-f", str(archive), "-C", str(self.objects)]
        self._tools.run([*to, *left_out, "."])

    def take_over(self, archive: Path) -> None:
        """Begin with the objects of another kernel, of the same source; what differs is compiled.

        A source file that has been patched meanwhile is newer than its object.
        """
        self._tools.run(["tar", "-x", "-f", str(archive), "-C", str(self.objects)])

    def configure(self, base: str, fragment: str, changes: str = "") -> Configured:
        """Base configuration, changed by a fragment and then by ``changes``, which override it.

        An option that the source does not define cannot be set, so it is left out. So is a line
        of the fragment that sets another member of a choice than the changes do. Raises BuildError
        if any other line does not hold in the final configuration.
        """
        known = configuration.defined(self._tree)
        asked, changed = configuration.parse(fragment), configuration.parse(changes)
        existing = {option: value for option, value in changed.items() if option in known}
        given_way = configuration.giving_way(asked, existing, configuration.choices(self._tree))
        wanted = {
            option: value
            for option, value in (asked | changed).items()
            if option in known and option not in given_way
        }
        unknown = [name for name, value in (asked | changed).items() if value != configuration.OFF]
        configured = Configured(tuple(sorted({*unknown} - known)), given_way)
        self._tools.note(configured.lines())
        self._tools.run([*self._make, base])
        self._change(wanted)
        return configured

    def _change(self, wanted: Mapping[str, str]) -> None:
        config = self.objects / ".config"
        with config.open("a") as file:
            file.write(configuration.render(wanted))
        self._tools.run([*self._make, "olddefconfig"])
        lost = self.losses(wanted, configuration.parse(config.read_text()))
        if lost:
            first, *others = lost
            raise BuildError(
                f"{self._tools.what}: '{first.line}' does not hold in its final configuration: "
                f"{first.why}",
                hint=f"nor does {', '.join(loss.line for loss in others)}" if others else None,
            )

    def complete(self, partial: str) -> str:
        """The full configuration of a partial one, such as a defconfig."""
        config = self.objects / ".config"
        config.write_text(partial)
        self._tools.run([*self._make, "olddefconfig"])
        return config.read_text()

    def losses(self, wanted: Mapping[str, str], final: Mapping[str, str]) -> list[Loss]:
        """Which lines of ``wanted`` do not hold in this tree's ``final`` configuration, and why.

        If there are any, the tree cannot be compiled afterwards.
        """
        lost = configuration.lost(wanted, final)
        if not lost:
            return []
        asked, facts = self.objects / "asked", self.objects / "facts"
        asked.write_text("".join(f"{each.removeprefix('CONFIG_')}\n" for each in lost))
        # make then builds and runs our program in place of its own
        program = self._tree / "scripts" / "kconfig" / "conf.c"
        program.unlink()
        shutil.copyfile(WHY, program)
        variables = (f"ZHARNESS_ASKED={asked}", f"ZHARNESS_FACTS={facts}")
        try:
            self._tools.run([*self._make, *variables, "olddefconfig"])
        except BuildError:  # a Kconfig that our program does not fit; what is lost is known
            facts.write_text("")
        return losses(wanted, final, facts.read_text())

    def compile(self, progress: Callable[[float], None]) -> int:
        """Build the bootable image; returns how many objects were built."""
        done = 0

        def on_line(line: str) -> None:
            nonlocal done
            if _OBJECT_LINE.match(line):
                done += 1
                progress(done)

        jobs = f"-j{len(os.sched_getaffinity(0))}"
        self._tools.run([*self._make, jobs, "bzImage"], on_line=on_line)
        return done

    def build_in(self, archive: Path) -> None:
        """Build the compiled image again, with an initramfs in it: cpio, compressed with gzip.

        Only what depends on the initramfs is made again. So all other objects are those of the
        same kernel without it, and ccache may have them; not the object that embeds the initramfs,
        see images/kernel/zharness-cc. Raises BuildError if this kernel takes
        no initramfs.
        """
        shutil.copyfile(archive, self.objects / _BUILT_IN)
        self._change({"CONFIG_INITRAMFS_SOURCE": f'"{_BUILT_IN}"'})
        self.compile(lambda _: None)

    def compile_module(self, source: Path, module: str) -> None:
        """An external module of one file, into the directory of the objects."""
        shutil.copytree(source, directory := self.objects / "module")
        # a kernel without modules writes the list of its symbols under another name
        exported = self.objects / "vmlinux.symvers"
        if exported.is_file():
            shutil.copy(exported, self.objects / "Module.symvers")
        self._tools.run([*self._make, "modules_prepare"])
        self._tools.run([*self._make, f"M={directory}", "modules"])
        shutil.move(directory / module, self.objects / module)


def compiler() -> str:
    """The first line of the compiler's version message."""
    return subprocess.run(
        [f"{CROSS_COMPILE}gcc", "--version"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[0]


def environment(store: Path, tree: Path | None = None, *, as_it_is: bool = True) -> dict[str, str]:
    """Environment for a reproducible build, in ``tree`` if it is a kernel's.

    All builds below ``store`` share objects.

    ``as_it_is`` is for a kernel whose options other kernels have, too, or of which only a part is
    compiled: then ccache compares the files that the compiler read. Otherwise each file must be
    preprocessed first, because all files include all options. This takes two fifths more time for
    objects that are not in the cache.
    """
    path = os.environ.get("PATH", os.defpath)
    return {
        "CCACHE_BASEDIR": str(store),
        "CCACHE_DIR": os.environ.get("CCACHE_DIR", str(store / ".ccache")),
        "CCACHE_NOHASHDIR": "1",
        **({"CCACHE_DEPEND": "1"} if as_it_is else {}),
        **({} if tree is None else {"PATH": f"{tree / _PROGRAMS}:{path}"}),
        "KBUILD_BUILD_HOST": "zharness",
        "KBUILD_BUILD_TIMESTAMP": "@0",
        "KBUILD_BUILD_USER": "zharness",
    }
