"""Whether QEMU's VECTOR CHECKSUM can be trusted.

It is wrong in QEMU 7.2 (seen with 7.2.22 on x86-64). A dump kernel on a CPU with vector registers
then takes a right re-IPL block for a wrong one (Linux 6.12 ``drivers/s390/char/zcore.c``,
zcore_reipl_init, by csum_partial): a failure of QEMU's that looks like one of the kernel's.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from harness.deadline import Deadline
from harness.errors import ProtocolError
from harness.qemu.binary import QemuBinary
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam
from harness.qemu.spec import MachineSpec

MEMORY = 128 << 20
FACILITY = "vx"  # QEMU target/s390x/cpu_features_def.h.inc: a property of each CPU
QMP_SECONDS = 30.0
CODE_AT = 0x20000
VCKSM = bytes.fromhex("e70100000e66")  # vcksm %v16,%v17,%v16
VECTORS_ON = 0x60000  # control register 0: AFP register and vector enablement
MODE_64 = 0x1_8000_0000  # PSW mask
WORDS = 0x00000284_00000000_0000027C_00000000
SUM = 0x500 << 64  # in the second word


def vector_checksum_works(binary: QemuBinary, cpu_model: str) -> bool | None:
    """Execute one VECTOR CHECKSUM; None if the CPU has no vector registers.

    Raises what starting QEMU raises.
    """
    spec = MachineSpec(memory=MEMORY, cpus=1, cpu_model=cpu_model, paused=True, gdb=True)
    with (
        TemporaryDirectory() as scratch,
        GuestRam.create(MEMORY) as ram,
        Qemu.start(binary, spec, ram, Path(scratch), name="probe") as qemu,
    ):
        if not _has_vectors(qemu):  # TCG would execute it nevertheless
            return None
        gdb = qemu.gdb
        if gdb is None:
            raise ProtocolError("the probe needs QEMU's gdbstub")
        ram.write(CODE_AT, VCKSM)
        values = {"cr0": VECTORS_ON, "v16": 0, "v17": WORDS, "pswm": MODE_64, "pswa": CODE_AT}
        for name, value in values.items():
            gdb.write_register(name, value)
        gdb.step()
        return gdb.read_register("v16") == SUM


def _has_vectors(qemu: Qemu) -> bool:
    """Ask QEMU about its CPU: a CPU model can be written without vector registers in many ways."""
    deadline = Deadline(QMP_SECONDS)
    (cpu,) = qemu.monitor.execute("query-cpus-fast", deadline=deadline)
    asked = {"path": cpu["qom-path"], "property": FACILITY}
    return bool(qemu.monitor.execute("qom-get", asked, deadline=deadline))
