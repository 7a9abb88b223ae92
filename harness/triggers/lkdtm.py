"""The crashes of the kernel's own crash test module, drivers/misc/lkdtm, as triggers.

How each type ends and what the console shows was observed with Linux 6.12 on s390x. The console
must show the mark of the type, then the panic; so a kernel that behaves differently is detected.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    """How several types end: what must be set before, and the text of the panic."""

    summary: str
    setup: tuple[str, ...]
    panic: str
    parmline: str = ""
    before: str = ""  # on the same command line as the trigger
    cpus: int = 1


@dataclass(frozen=True)
class Kind:
    """One type of LKDTM that ends in a crash: how, and its ``mark`` on the console.

    ``function`` is on the crashed CPU's stack; "" stands for lkdtm_TYPE. Another function is named
    if lkdtm_TYPE ends in a tail call, if the compiler merged it with others, or if the stack is
    lost. ``task`` is the process that dies, "" for the stopper thread of any CPU. ``setup`` and
    ``cpus`` are additional to those of the ending. ``command`` replaces the usual command.
    """

    name: str
    ending: Ending
    mark: str
    function: str = ""
    task: str = SHELL
    setup: tuple[str, ...] = ()
    command: str = ""
    cpus: int = 1

    @property
    def trigger(self) -> Trigger:
        """The row for the table of triggers."""
        ending = self.ending
        return Trigger(
            name=f"lkdtm-{self.name.lower().replace('_', '-')}",
            summary=f"LKDTM {self.name}: {ending.summary}",
            command=self.command or _pull(self.name, ending),
            console=rf"{self.mark}[\s\S]*{PANIC}{ending.panic}" if ending.panic else self.mark,
            setup=ending.setup + self.setup,
            parmline=ending.parmline,
            cpus=max(self.cpus, ending.cpus),
            function=self.function or f"lkdtm_{self.name}",
            task=self.task,
        )


def _pull(name: str, ending: Ending) -> str:
    return f"{ending.before}echo {name} > {PROVOKE}"


ITSELF = Ending("panics", (), "")
OOPS = Ending("an oops", PANIC_ON_OOPS, "Fatal exception: panic_on_oops")
WARN = Ending("a warning", PANIC_ON_WARN, r"(kernel|KFENCE): panic_on_warn set")
STACK = Ending("a stack overflow", (), "Corrupt kernel stack, can't continue")
# RCU sees a stall only while it waits for a grace period. Freeing objects asks for one. A loop on
# another CPU frees objects all the time, so there is always one.
STALL = Ending(
    "a stall that RCU notices",
    PANIC_ON_STALL,
    "RCU Stall",
    before="while :; do ls -R /proc/1; done > /dev/null & ls -R /proc/1 > /dev/null; ",
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

_STALLED = "detected stalls? on CPU"  # by the CPU itself or by another CPU


def _stalled(name: str) -> str:
    """What the console shows if this was the last type that began before a stall."""
    return rf"direct entry {name}\s(?![\s\S]*direct entry)[\s\S]*{_STALLED}"


_DO_ACTION = "lkdtm_do_action"  # calls the type's own function (drivers/misc/lkdtm/core.c)

KINDS = (
    Kind("PANIC", ITSELF, PANIC + "dumptest"),
    Kind(
        "PANIC_STOP_IRQOFF",
        ITSELF,
        PANIC + "panic stop irqoff test",
        "panic_stop_irqoff_fn",
        task="",
        cpus=2,
    ),
    Kind("BUG", OOPS, r"kernel BUG at \S*lkdtm/bugs\.c"),
    Kind("WARNING", WARN, r"WARNING: [^\n]*lkdtm_WARNING\+"),
    Kind("WARNING_MESSAGE", WARN, r"WARNING: [^\n]*lkdtm_WARNING_MESSAGE\+"),
    Kind("EXCEPTION", OOPS, _BAD_ACCESS),
    Kind("LOOP", STALL, _stalled("LOOP")),
    Kind("EXHAUST_STACK", STACK, "Kernel stack overflow"),
    Kind("CORRUPT_STACK", STACK, "Kernel stack overflow", "kernel_stack_overflow"),
    Kind("CORRUPT_STACK_STRONG", STACK, "Kernel stack overflow", "kernel_stack_overflow"),
    Kind("SOFTLOCKUP", STALL, _stalled("SOFTLOCKUP")),
    # another CPU must detect it; rmmod makes it wait for a grace period
    Kind(
        "HARDLOCKUP",
        STALL,
        r"detected stalls on CPUs/tasks",
        setup=(*ZCRASH, VACATE_LAST_CPU),
        command=f"{LOCK_LAST_CPU}; rmmod zcrash",
    ),
    Kind("SMP_CALL_LOCKUP", STALL, _stalled("SMP_CALL_LOCKUP")),
    # it deadlocks the second time
    Kind(
        "SPINLOCKUP",
        STALL,
        _stalled("SPINLOCKUP"),
        _DO_ACTION,
        setup=(_pull("SPINLOCKUP", STALL),),
    ),
    Kind(
        "HUNG_TASK",
        HUNG,
        r"blocked for more than \d+ seconds",
        "check_hung_uninterruptible_tasks",
        task="khungtaskd",
    ),
    Kind("CORRUPT_LIST_ADD", OOPS, r"kernel BUG at \S*lib/list_debug\.c"),
    Kind("CORRUPT_LIST_DEL", OOPS, r"kernel BUG at \S*lib/list_debug\.c"),
    Kind("STACK_GUARD_PAGE_LEADING", OOPS, _BAD_ACCESS),
    Kind("STACK_GUARD_PAGE_TRAILING", OOPS, _BAD_ACCESS),
    Kind("SLAB_LINEAR_OVERFLOW", TAINT, "Attempting slab linear overflow", _DO_ACTION),
    Kind("VMALLOC_LINEAR_OVERFLOW", OOPS, _BAD_ACCESS),
    Kind("WRITE_AFTER_FREE", TAINT, "Attempting bad write to freed memory"),
    Kind("KFENCE_READ_AFTER_FREE", WARN, "BUG: KFENCE: use-after-free read"),
    Kind("SLAB_FREE_DOUBLE", OOPS, r"kernel BUG at \S*mm/slub\.c", _DO_ACTION),
    Kind("SLAB_FREE_CROSS", WARN, "Wrong slab cache", _DO_ACTION),
    Kind("SLAB_FREE_PAGE", WARN, r"WARNING: [^\n]*cache_from_obj\+"),
    Kind("WRITE_RO", OOPS, _BAD_ACCESS),
    Kind("WRITE_RO_AFTER_INIT", OOPS, _BAD_ACCESS),
    Kind("WRITE_KERN", OOPS, _BAD_ACCESS, _DO_ACTION),
    Kind("EXEC_DATA", OOPS, _BAD_ACCESS, _DO_ACTION),
    Kind("EXEC_STACK", OOPS, _BAD_ACCESS),
    Kind("EXEC_KMALLOC", OOPS, _BAD_ACCESS),
    Kind("EXEC_VMALLOC", OOPS, _BAD_ACCESS),
    Kind("EXEC_RODATA", OOPS, _BAD_ACCESS, _DO_ACTION),
    Kind("EXEC_USERSPACE", OOPS, _BAD_ACCESS, _DO_ACTION),
    Kind("EXEC_NULL", OOPS, "attempting bad execution at 0000000000000000", _DO_ACTION),
    Kind("ACCESS_USERSPACE", OOPS, _BAD_ACCESS),
    Kind("ACCESS_NULL", OOPS, _BAD_ACCESS),
    Kind("REFCOUNT_INC_OVERFLOW", WARN, _SATURATED),
    Kind("REFCOUNT_ADD_OVERFLOW", WARN, _SATURATED),
    Kind("REFCOUNT_INC_NOT_ZERO_OVERFLOW", WARN, _SATURATED),
    Kind("REFCOUNT_ADD_NOT_ZERO_OVERFLOW", WARN, _SATURATED),
    Kind("REFCOUNT_DEC_ZERO", WARN, _DECREMENT),
    Kind("REFCOUNT_DEC_NEGATIVE", WARN, _DECREMENT),
    Kind("REFCOUNT_DEC_AND_TEST_NEGATIVE", WARN, _UNDERFLOW),
    Kind("REFCOUNT_SUB_AND_TEST_NEGATIVE", WARN, _UNDERFLOW),
    Kind("REFCOUNT_SUB_AND_TEST_ZERO", WARN, _UNDERFLOW),
    Kind("REFCOUNT_INC_ZERO", WARN, _ON_ZERO),
    Kind("REFCOUNT_ADD_ZERO", WARN, _ON_ZERO),
    Kind("REFCOUNT_INC_SATURATED", WARN, _SATURATED),
    Kind("REFCOUNT_DEC_SATURATED", WARN, _DECREMENT),
    Kind("REFCOUNT_ADD_SATURATED", WARN, _SATURATED),
    Kind("REFCOUNT_INC_NOT_ZERO_SATURATED", WARN, _SATURATED),
    Kind("REFCOUNT_ADD_NOT_ZERO_SATURATED", WARN, _SATURATED),
    Kind("REFCOUNT_DEC_AND_TEST_SATURATED", WARN, _UNDERFLOW),
    Kind("REFCOUNT_SUB_AND_TEST_SATURATED", WARN, _UNDERFLOW),
    Kind("ATOMIC_TIMING", STALL, _stalled("ATOMIC_TIMING")),
    Kind("REFCOUNT_TIMING", STALL, _stalled("REFCOUNT_TIMING")),
    Kind("USERCOPY_SLAB_SIZE_TO", OOPS, _USERCOPY, "do_usercopy_slab_size"),
    Kind("USERCOPY_SLAB_SIZE_FROM", OOPS, _USERCOPY, "do_usercopy_slab_size"),
    Kind("USERCOPY_SLAB_WHITELIST_TO", OOPS, _USERCOPY, "do_usercopy_slab_whitelist"),
    Kind("USERCOPY_SLAB_WHITELIST_FROM", OOPS, _USERCOPY, "do_usercopy_slab_whitelist"),
    Kind("USERCOPY_STACK_BEYOND", OOPS, _USERCOPY, "do_usercopy_stack"),
    Kind("USERCOPY_FOLIO", OOPS, _USERCOPY),
    Kind("USERCOPY_KERNEL", OOPS, _USERCOPY),
    Kind("FORTIFY_STR_OBJECT", WARN, _OVERFLOW),
    Kind("FORTIFY_STR_MEMBER", WARN, _OVERFLOW),
    Kind("FORTIFY_MEM_OBJECT", WARN, _OVERFLOW),
    Kind("FORTIFY_MEM_MEMBER", WARN, "detected field-spanning write"),
    Kind("FORTIFY_STRSCPY", WARN, _OVERFLOW),
)
CRASHES = {kind.name: kind for kind in KINDS}

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


LKDTM = tuple(kind.trigger for kind in KINDS)
