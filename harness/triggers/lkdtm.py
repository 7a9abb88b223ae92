"""The kernel's own ways to die, drivers/misc/lkdtm, as triggers.

Which type ends how, and what the console shows of it, was seen with Linux 6.12 on s390x. A kernel
that does something else is noticed: the console must show the type's own mark, then the panic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.triggers.lockup import LOCK_LAST_CPU, PROVOKE, VACATE_LAST_CPU
from harness.triggers.trigger import (
    PANIC,
    PANIC_ON_HUNG_TASK,
    PANIC_ON_OOPS,
    PANIC_ON_STALL,
    PANIC_ON_WARN,
    SHELL,
    ZCRASH,
    Trigger,
)


@dataclass(frozen=True)
class Ending:
    """How several types end: what must be set before, and how the panic reads."""

    summary: str
    setup: tuple[str, ...]
    panic: str
    parmline: str = ""
    before: str = ""  # in the same breath as the trigger
    cpus: int = 1


ITSELF = Ending("panics", (), "")
OOPS = Ending("an oops", PANIC_ON_OOPS, "Fatal exception: panic_on_oops")
WARN = Ending("a warning", PANIC_ON_WARN, r"(kernel|KFENCE): panic_on_warn set")
STACK = Ending("a stack overflow", (), "Corrupt kernel stack, can't continue")
# RCU sees a stall only while it waits for a grace period: freeing many objects asks for one, and
# another CPU runs RCU's thread
STALL = Ending(
    "a stall that RCU notices",
    PANIC_ON_STALL,
    "RCU Stall",
    before="ls -R /proc/1 > /dev/null; ",
    cpus=2,
)
HUNG = Ending("a hung task", PANIC_ON_HUNG_TASK, "hung_task: blocked tasks")
TAINT = Ending(
    "slab memory that SLUB's debugging finds damaged",
    (),
    "panic_on_taint set",
    "slab_debug=FZP panic_on_taint=0x20",
)

_BAD_ACCESS = "Unable to handle kernel pointer dereference"
_USERCOPY = r"kernel BUG at \S*mm/usercopy\.c"
_SATURATED = r"refcount_t: saturated; leaking memory"
_UNDERFLOW = r"refcount_t: underflow; use-after-free"
_DECREMENT = r"refcount_t: decrement hit 0; leaking memory"
_ON_ZERO = r"refcount_t: addition on 0; use-after-free"
_OVERFLOW = r"detected buffer overflow"

# type -> how it ends, and its mark on the console
CRASHES: dict[str, tuple[Ending, str]] = {
    "PANIC": (ITSELF, PANIC + "dumptest"),
    "PANIC_STOP_IRQOFF": (ITSELF, PANIC + "panic stop irqoff test"),
    "BUG": (OOPS, r"kernel BUG at \S*lkdtm/bugs\.c"),
    "WARNING": (WARN, r"WARNING: [^\n]*lkdtm_WARNING\+"),
    "WARNING_MESSAGE": (WARN, r"WARNING: [^\n]*lkdtm_WARNING_MESSAGE\+"),
    "EXCEPTION": (OOPS, _BAD_ACCESS),
    "LOOP": (STALL, r"self-detected stall on CPU[\s\S]*lkdtm_LOOP\+"),
    "EXHAUST_STACK": (STACK, "Kernel stack overflow"),
    "CORRUPT_STACK": (STACK, "Kernel stack overflow"),
    "CORRUPT_STACK_STRONG": (STACK, "Kernel stack overflow"),
    "SOFTLOCKUP": (STALL, r"self-detected stall on CPU[\s\S]*lkdtm_SOFTLOCKUP\+"),
    "HARDLOCKUP": (STALL, r"detected stalls on CPUs/tasks"),
    # the CPU that calls notices, or the other one is noticed: whichever RCU waits for longer
    "SMP_CALL_LOCKUP": (STALL, r"detected stalls? on CPU[\s\S]*lkdtm_SMP_CALL_LOCKUP\+"),
    "SPINLOCKUP": (STALL, r"self-detected stall on CPU"),
    "HUNG_TASK": (HUNG, r"blocked for more than \d+ seconds"),
    "CORRUPT_LIST_ADD": (OOPS, r"kernel BUG at \S*lib/list_debug\.c"),
    "CORRUPT_LIST_DEL": (OOPS, r"kernel BUG at \S*lib/list_debug\.c"),
    "STACK_GUARD_PAGE_LEADING": (OOPS, _BAD_ACCESS),
    "STACK_GUARD_PAGE_TRAILING": (OOPS, _BAD_ACCESS),
    "SLAB_LINEAR_OVERFLOW": (TAINT, "Attempting slab linear overflow"),
    "VMALLOC_LINEAR_OVERFLOW": (OOPS, _BAD_ACCESS),
    "WRITE_AFTER_FREE": (TAINT, "Attempting bad write to freed memory"),
    "KFENCE_READ_AFTER_FREE": (WARN, "BUG: KFENCE: use-after-free read"),
    "SLAB_FREE_DOUBLE": (OOPS, r"kernel BUG at \S*mm/slub\.c"),
    "SLAB_FREE_CROSS": (WARN, "Wrong slab cache"),
    "SLAB_FREE_PAGE": (WARN, r"WARNING: [^\n]*cache_from_obj\+"),
    "WRITE_RO": (OOPS, _BAD_ACCESS),
    "WRITE_RO_AFTER_INIT": (OOPS, _BAD_ACCESS),
    "WRITE_KERN": (OOPS, _BAD_ACCESS),
    "EXEC_DATA": (OOPS, _BAD_ACCESS),
    "EXEC_STACK": (OOPS, _BAD_ACCESS),
    "EXEC_KMALLOC": (OOPS, _BAD_ACCESS),
    "EXEC_VMALLOC": (OOPS, _BAD_ACCESS),
    "EXEC_RODATA": (OOPS, _BAD_ACCESS),
    "EXEC_USERSPACE": (OOPS, _BAD_ACCESS),
    "EXEC_NULL": (OOPS, "attempting bad execution at 0000000000000000"),
    "ACCESS_USERSPACE": (OOPS, _BAD_ACCESS),
    "ACCESS_NULL": (OOPS, _BAD_ACCESS),
    "REFCOUNT_INC_OVERFLOW": (WARN, _SATURATED),
    "REFCOUNT_ADD_OVERFLOW": (WARN, _SATURATED),
    "REFCOUNT_INC_NOT_ZERO_OVERFLOW": (WARN, _SATURATED),
    "REFCOUNT_ADD_NOT_ZERO_OVERFLOW": (WARN, _SATURATED),
    "REFCOUNT_DEC_ZERO": (WARN, _DECREMENT),
    "REFCOUNT_DEC_NEGATIVE": (WARN, _DECREMENT),
    "REFCOUNT_DEC_AND_TEST_NEGATIVE": (WARN, _UNDERFLOW),
    "REFCOUNT_SUB_AND_TEST_NEGATIVE": (WARN, _UNDERFLOW),
    "REFCOUNT_SUB_AND_TEST_ZERO": (WARN, _UNDERFLOW),
    "REFCOUNT_INC_ZERO": (WARN, _ON_ZERO),
    "REFCOUNT_ADD_ZERO": (WARN, _ON_ZERO),
    "REFCOUNT_INC_SATURATED": (WARN, _SATURATED),
    "REFCOUNT_DEC_SATURATED": (WARN, _DECREMENT),
    "REFCOUNT_ADD_SATURATED": (WARN, _SATURATED),
    "REFCOUNT_INC_NOT_ZERO_SATURATED": (WARN, _SATURATED),
    "REFCOUNT_ADD_NOT_ZERO_SATURATED": (WARN, _SATURATED),
    "REFCOUNT_DEC_AND_TEST_SATURATED": (WARN, _UNDERFLOW),
    "REFCOUNT_SUB_AND_TEST_SATURATED": (WARN, _UNDERFLOW),
    "ATOMIC_TIMING": (STALL, r"self-detected stall on CPU"),
    "REFCOUNT_TIMING": (STALL, r"self-detected stall on CPU"),
    "USERCOPY_SLAB_SIZE_TO": (OOPS, _USERCOPY),
    "USERCOPY_SLAB_SIZE_FROM": (OOPS, _USERCOPY),
    "USERCOPY_SLAB_WHITELIST_TO": (OOPS, _USERCOPY),
    "USERCOPY_SLAB_WHITELIST_FROM": (OOPS, _USERCOPY),
    "USERCOPY_STACK_BEYOND": (OOPS, _USERCOPY),
    "USERCOPY_FOLIO": (OOPS, _USERCOPY),
    "USERCOPY_KERNEL": (OOPS, _USERCOPY),
    "FORTIFY_STR_OBJECT": (WARN, _OVERFLOW),
    "FORTIFY_STR_MEMBER": (WARN, _OVERFLOW),
    "FORTIFY_MEM_OBJECT": (WARN, _OVERFLOW),
    "FORTIFY_MEM_MEMBER": (WARN, "detected field-spanning write"),
    "FORTIFY_STRSCPY": (WARN, _OVERFLOW),
}

# type -> the function on the crashed CPU's stack, where that is not the type's own: because the
# compiler made a jump of its last call, or a function of many; because its stack is lost
_DO_ACTION = "lkdtm_do_action"
_FUNCTIONS: dict[str, str] = {
    "CORRUPT_STACK": "kernel_stack_overflow",
    "CORRUPT_STACK_STRONG": "kernel_stack_overflow",
    "PANIC_STOP_IRQOFF": "panic_stop_irqoff_fn",
    "HUNG_TASK": "check_hung_uninterruptible_tasks",
    "SPINLOCKUP": _DO_ACTION,
    "SLAB_LINEAR_OVERFLOW": _DO_ACTION,
    "SLAB_FREE_DOUBLE": _DO_ACTION,
    "SLAB_FREE_CROSS": _DO_ACTION,
    "WRITE_KERN": _DO_ACTION,
    "EXEC_DATA": _DO_ACTION,
    "EXEC_RODATA": _DO_ACTION,
    "EXEC_USERSPACE": _DO_ACTION,
    "EXEC_NULL": _DO_ACTION,
    "USERCOPY_SLAB_SIZE_TO": "do_usercopy_slab_size",
    "USERCOPY_SLAB_SIZE_FROM": "do_usercopy_slab_size",
    "USERCOPY_SLAB_WHITELIST_TO": "do_usercopy_slab_whitelist",
    "USERCOPY_SLAB_WHITELIST_FROM": "do_usercopy_slab_whitelist",
    "USERCOPY_STACK_BEYOND": "do_usercopy_stack",
}
# type -> the process that dies, where that is not the shell; none for a stopper of any CPU
_TASKS: dict[str, str] = {"HUNG_TASK": "khungtaskd", "PANIC_STOP_IRQOFF": ""}

# type -> why it does not end in a crash of an s390x system
NO_CRASH: dict[str, str] = {
    "REPORT_STACK": "reports an offset, which is all it does",
    "REPORT_STACK_CANARY": "reports; s390 before Linux 7 has no CONFIG_STACKPROTECTOR",
    "UNALIGNED_LOAD_STORE_WRITE": "s390 loads and stores unaligned data (XFAIL)",
    "OVERFLOW_SIGNED": "only UBSAN would notice, and then warn",
    "OVERFLOW_UNSIGNED": "defined behaviour",
    "ARRAY_BOUNDS": "only CONFIG_UBSAN_BOUNDS would notice",
    "FAM_BOUNDS": "needs a compiler with __counted_by",
    "UNSET_SMEP": "x86-64 only (XFAIL)",
    "DOUBLE_FAULT": "ia32 only (XFAIL)",
    "CORRUPT_PAC": "arm64 only (XFAIL)",
    "READ_AFTER_FREE": "with poisoning it reads the poison and says so",
    "WRITE_BUDDY_AFTER_FREE": "nothing checks a free page before it is used again",
    "READ_BUDDY_AFTER_FREE": "with init_on_free it reads zeros and says so",
    "SLAB_INIT_ON_ALLOC": "tests whether memory is initialized; reports",
    "BUDDY_INIT_ON_ALLOC": "tests whether memory is initialized; reports",
    "WRITE_OPD": "s390 has no function descriptors (XFAIL)",
    "USERCOPY_STACK_FRAME_TO": "s390 has no arch_within_stack_frames()",
    "USERCOPY_STACK_FRAME_FROM": "s390 has no arch_within_stack_frames()",
    "USERCOPY_VMALLOC": "copy_to_user() fails and says so, without an oops",
    "STACKLEAK_ERASING": "needs CONFIG_GCC_PLUGIN_STACKLEAK (XFAIL)",
    "CFI_FORWARD_PROTO": "needs CONFIG_CFI_CLANG",
    "CFI_BACKWARD": "the return address is not where it looks for it",
}


def _triggers() -> Iterator[Trigger]:
    for kind, (ending, mark) in CRASHES.items():
        yield Trigger(
            name=f"lkdtm-{kind.lower().replace('_', '-')}",
            summary=f"LKDTM {kind}: {ending.summary}",
            command=f"{ending.before}echo {kind} > {PROVOKE}",
            console=rf"{mark}[\s\S]*{PANIC}{ending.panic}" if ending.panic else mark,
            setup=ending.setup,
            parmline=ending.parmline,
            cpus=ending.cpus,
            function=_FUNCTIONS.get(kind, f"lkdtm_{kind}"),
            task=_TASKS.get(kind, SHELL),
        )


def _special(trigger: Trigger) -> Trigger:
    """What some types need besides."""
    match trigger.name:
        case "lkdtm-spinlockup":  # it dead-locks the second time
            return replace(trigger, setup=(*trigger.setup, trigger.command))
        case "lkdtm-panic-stop-irqoff":
            return replace(trigger, cpus=2)
        case "lkdtm-hardlockup":
            # another CPU has to notice, and does while it waits for a grace period: rmmod
            return replace(
                trigger,
                setup=(*trigger.setup, *ZCRASH, VACATE_LAST_CPU),
                command=f"{LOCK_LAST_CPU}; rmmod zcrash",
            )
    return trigger


LKDTM = tuple(map(_special, _triggers()))
