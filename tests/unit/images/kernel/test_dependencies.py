"""Why an option does not hold: sentences from what Kconfig tells.

The facts are what images/kernel/why.c wrote in the tree of Linux 6.12.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.errors import BuildError
from harness.images.command import Tools
from harness.images.kernel import configuration
from harness.images.kernel.dependencies import losses
from harness.images.kernel.make import WHY, Make

FACTS = """\
CRASH_DUMP	value	n
CRASH_DUMP	needs	KEXEC_CORE [=n]
KEXEC_CORE	value	n
KEXEC_CORE	selector	KEXEC
KEXEC_CORE	selector	KEXEC_FILE
KEXEC_CORE	hidden	-
PROC_VMCORE	value	n
PROC_VMCORE	needs	CRASH_DUMP [=n]
CRASH_DUMP	value	n
CRASH_DUMP	needs	KEXEC_CORE [=n]
NR_CPUS	value	512
NR_CPUS	range	2..512
PRINTK	value	y
PRINTK	needs	EXPERT [=n]
EXPERT	value	n
GCC_PLUGINS	value	n
GCC_PLUGINS	needs	n [=n]
CRYPTO_FIPS	value	n
CRYPTO_FIPS	needs	CRYPTO_DRBG [=n]=y [=y]
STACKPROTECTOR	value	n
STACKPROTECTOR	needs	HAVE_STACKPROTECTOR [=n]
HAVE_STACKPROTECTOR	value	n
HAVE_STACKPROTECTOR	condition	CC_HAS_STACKPROTECTOR_GLOBAL [=n]
HAVE_STACKPROTECTOR	hidden	-
PREEMPT	value	y
PREEMPT	chosen	PREEMPT
PREEMPT_NONE	value	n
PREEMPT_NONE	chosen	PREEMPT
PREEMPT_NONE	needs	!ARCH_HAS_PREEMPT_LAZY [=y]
MARCH_Z13	value	n
MARCH_Z13	chosen	MARCH_Z14
CRC32	value	y
CRC32	selector	LIBFC
CRC32	selected	EFI_PARTITION
CRC32	selected	XZ_DEC
KERNFS	value	y
KERNFS	selected	SYSFS
KERNFS	hidden	-
QDIO_HIDDEN	value	n
QDIO_HIDDEN	hidden	-
EITHER	value	n
EITHER	needs	A [=n] || B [=n]
EITHER	needs	PCI [=m]
PCI	value	m
LOOP	value	n
LOOP	needs	POOL [=n]
POOL	value	n
POOL	needs	LOOP [=n]
POPULAR	value	n
POPULAR	selector	A
POPULAR	selector	B
POPULAR	selector	C
POPULAR	selector	D
POPULAR	selector	E
POPULAR	hidden	-
STUCK	value	y
STUCK	hidden	-
STRANGE	value	n
NOSUCH	undefined	-
"""


@pytest.mark.parametrize(
    ("asked", "final", "why"),
    [
        (
            "CONFIG_CRASH_DUMP=y",
            "",
            "it depends on CONFIG_KEXEC_CORE, which is not set "
            "(CONFIG_KEXEC or CONFIG_KEXEC_FILE selects it)",
        ),
        (
            "CONFIG_PROC_VMCORE=y",
            "",
            "it depends on CONFIG_CRASH_DUMP, which is not set and depends on CONFIG_KEXEC_CORE, "
            "which is not set (CONFIG_KEXEC or CONFIG_KEXEC_FILE selects it)",
        ),
        ("CONFIG_NR_CPUS=4096", "CONFIG_NR_CPUS=512", "it must be in 2..512"),
        (
            "# CONFIG_PRINTK is not set",
            "CONFIG_PRINTK=y",
            "to switch it off depends on CONFIG_EXPERT, which is not set",
        ),
        (
            "CONFIG_GCC_PLUGINS=y",
            "",
            "it depends on a test of the compiler or of another tool, which failed",
        ),
        ("CONFIG_CRYPTO_FIPS=y", "", "it depends on CONFIG_CRYPTO_DRBG, which is not set"),
        (
            "CONFIG_STACKPROTECTOR=y",
            "",
            "it depends on CONFIG_HAVE_STACKPROTECTOR, which is not set "
            "(an option selects it if CC_HAS_STACKPROTECTOR_GLOBAL [=n])",
        ),
        (
            "# CONFIG_PREEMPT is not set",
            "CONFIG_PREEMPT=y",
            "it is what is chosen if no other of its choice is set",
        ),
        ("CONFIG_PREEMPT_NONE=y", "", "it depends on !ARCH_HAS_PREEMPT_LAZY [=y]"),
        ("CONFIG_MARCH_Z13=y", "", "CONFIG_MARCH_Z14 is chosen in its place"),
        (
            "# CONFIG_CRC32 is not set",
            "CONFIG_CRC32=y",
            "CONFIG_EFI_PARTITION and CONFIG_XZ_DEC select it",
        ),
        ("# CONFIG_KERNFS is not set", "CONFIG_KERNFS=y", "CONFIG_SYSFS selects it"),
        ("CONFIG_QDIO_HIDDEN=y", "", "no configuration can set it"),
        (
            "CONFIG_EITHER=y",
            "",
            "it depends on A [=n] || B [=n] and on CONFIG_PCI, which is a module",
        ),
        (
            "CONFIG_LOOP=y",
            "",
            "it depends on CONFIG_POOL, which is not set and depends on CONFIG_LOOP, which is not "
            "set",
        ),
        (
            "CONFIG_POPULAR=y",
            "",
            "no configuration can set it (CONFIG_A, CONFIG_B, CONFIG_C, CONFIG_D or 1 more "
            "selects it)",
        ),
        (
            "# CONFIG_STUCK is not set",
            "CONFIG_STUCK=y",
            "no configuration can set it; its default is on",
        ),
        (
            "CONFIG_STRANGE=m",
            "CONFIG_STRANGE=y",
            "it is built in, because CONFIG_MODULES is not set",
        ),
        ("CONFIG_STRANGE=y", "", "its reason is not known"),
        ("CONFIG_UNSPOKEN_OF=y", "", "its reason is not known"),
        ("CONFIG_NOSUCH=y", "", "this source does not define it"),
    ],
)
def test_the_reason_is_a_sentence(asked: str, final: str, why: str):
    (loss,) = losses(configuration.parse(asked), configuration.parse(final), FACTS)
    assert loss.why == why
    assert str(loss) == f"'{asked}' does not hold: {why}"
    assert loss.undefined is (asked == "CONFIG_NOSUCH=y")


def test_what_holds_is_not_lost():
    values = configuration.parse("CONFIG_A=y\n# CONFIG_B is not set\n")
    assert losses(values, {"CONFIG_A": "y"}, "") == []


class TreeThat(Tools):
    """Tools for a kernel tree whose make writes facts, or fails."""

    def __init__(self, directory: Path, facts: str | None) -> None:
        super().__init__(directory / "log", "the kernel")
        object.__setattr__(self, "facts", facts)

    def run(self, argv: Sequence[str], **more: object) -> None:
        facts: str | None = getattr(self, "facts", None)
        words = dict(word.split("=", 1) for word in argv if word.startswith("ZHARNESS_"))
        assert Path(words["ZHARNESS_ASKED"]).read_text() == "CRASH_DUMP\n"
        if facts is None:
            raise BuildError("error: 'struct symbol' has no member 'rev_dep'")
        Path(words["ZHARNESS_FACTS"]).write_text(facts)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (FACTS, "it depends on CONFIG_KEXEC_CORE, "),
        (None, "its reason is not known"),
    ],
)
def test_the_tree_tells_the_reason_if_its_kconfig_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facts: str | None, why: str
):
    monkeypatch.setattr("harness.images.kernel.make.require_tools", lambda tools: None)
    program = tmp_path / "tree/scripts/kconfig/conf.c"
    program.parent.mkdir(parents=True)
    shared = tmp_path / "conf.c"
    shared.write_text("of the store")
    program.hardlink_to(shared)
    made = Make(tmp_path / "tree", TreeThat(tmp_path, facts))
    (loss,) = made.losses({"CONFIG_CRASH_DUMP": "y", "CONFIG_A": "y"}, {"CONFIG_A": "y"})
    assert loss.why.startswith(why)
    assert program.read_text() == WHY.read_text()
    assert shared.read_text() == "of the store"


def test_a_tree_that_keeps_every_line_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("harness.images.kernel.make.require_tools", lambda tools: None)
    (tmp_path / "tree").mkdir()
    made = Make(tmp_path / "tree", TreeThat(tmp_path, None))
    assert made.losses({"CONFIG_A": "y"}, {"CONFIG_A": "y"}) == []
