"""Stacks of a synthetic kernel, walked by the real drgn."""

from __future__ import annotations

import struct
from dataclasses import replace
from types import SimpleNamespace

import pytest
from drgn import (
    Architecture,
    Platform,
    PlatformFlags,
    Program,
    Symbol,
    SymbolBinding,
    SymbolKind,
    TypeMember,
)

from harness.verify.semantic.drgn_reader.stack import functions
from tests.support.cpus import make_cpu

MEMORY = 0x20000
TASK_STACK, NODAT_STACK, ASYNC_STACK = 0x8000, 0x10000, 0x18000
BACK_CHAIN, SAVED_R14 = 0, 136
SIZE = 0x100  # of every function; each starts where the one before ends
NAMES = ("smp_call_ipl_cpu", "nmi_handler", "crash_here", "do_panic", "shell", "diag308_dump")
AT = {name: 0x1000 + number * SIZE for number, name in enumerate(NAMES)}
KERNEL_PSW = 0x0404C00180000000
VMCOREINFO = b"OSRELEASE=6.12.1\nPAGESIZE=4096\nSYMBOL(swapper_pg_dir)=1000\nKERNELOFFSET=0\n"


def behind_the_call(name: str) -> int:
    """A return address in the middle of a function."""
    return AT[name] + SIZE // 2


def behind_the_last_call(name: str) -> int:
    """That of a call which does not return: the next function's first byte."""
    return AT[name] + SIZE


class Kernel:
    """Memory, symbols and the types that a stack walk needs."""

    def __init__(self) -> None:
        self.memory = bytearray(MEMORY)
        self.program = Program(Platform(Architecture.S390X, PlatformFlags.IS_64_BIT))
        self.program.set_linux_kernel_custom(VMCOREINFO, is_live=False)
        self.program.register_type_finder("test", self._type, enable_index=0)
        self.program.register_symbol_finder("test", self._symbols, enable_index=0)
        self.program.add_memory_segment(0, MEMORY, self._read, physical=False)

    def frame(self, at: int, back_chain: int, r14: int = 0) -> None:
        struct.pack_into(">Q", self.memory, at + BACK_CHAIN, back_chain)
        struct.pack_into(">Q", self.memory, at + SAVED_R14, r14)

    def walked(self, pc: int, sp: int) -> list[str]:
        cpu = replace(make_cpu(1), psw_mask=KERNEL_PSW, psw_addr=pc, gprs=(0,) * 15 + (sp,))
        stacks = dict.fromkeys(("restart_stack", "mcck_stack"), 0)
        stacks |= {"async_stack": ASYNC_STACK, "nodat_stack": NODAT_STACK}
        return [name for name, _ in functions(self.program, cpu, SimpleNamespace(**stacks))]

    def _read(self, address: int, size: int, _offset: int, _physical: bool) -> bytes:
        return bytes(self.memory[address : address + size])

    def _symbols(
        self, _program: Program, name: str | None, address: int | None, _one: bool
    ) -> list[Symbol]:
        return [
            Symbol(each, at, SIZE, SymbolBinding.GLOBAL, SymbolKind.FUNC)
            for each, at in AT.items()
            if name in (None, each) and (address is None or at <= address < at + SIZE)
        ]

    def _type(self, program: Program, kinds, name: str, filename):
        long = program.int_type("unsigned long", 8, False)
        if name == "stack_frame":
            return program.struct_type(name, 8, (TypeMember(long, "back_chain"),))
        if name == "pt_regs":
            psw = program.struct_type(
                "psw_t", 16, (TypeMember(long, "mask"), TypeMember(long, "addr", 64))
            )
            members = (
                TypeMember(program.array_type(long, 1), "args"),
                TypeMember(psw, "psw", 64),
                TypeMember(program.array_type(long, 16), "gprs", 192),
            )
            return program.struct_type(name, 8 + 16 + 128, members)
        return None


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


def test_the_psw_is_exact(kernel):
    assert kernel.walked(AT["shell"], TASK_STACK) == ["shell"]


def test_a_call_that_returns(kernel):
    kernel.frame(NODAT_STACK, back_chain=TASK_STACK)
    kernel.frame(TASK_STACK, back_chain=0, r14=behind_the_call("smp_call_ipl_cpu"))
    found = kernel.walked(AT["diag308_dump"] + 4, NODAT_STACK)
    assert found == ["diag308_dump", "smp_call_ipl_cpu"]


def test_a_call_that_does_not_return_at_the_end_of_a_function(kernel):
    kernel.frame(NODAT_STACK, back_chain=TASK_STACK)
    kernel.frame(TASK_STACK, back_chain=0, r14=behind_the_last_call("smp_call_ipl_cpu"))
    found = kernel.walked(AT["diag308_dump"] + 4, NODAT_STACK)
    assert found == ["diag308_dump", "smp_call_ipl_cpu"]


def test_no_stack_is_entered_twice(kernel):
    kernel.frame(ASYNC_STACK, back_chain=NODAT_STACK)
    kernel.frame(NODAT_STACK, back_chain=ASYNC_STACK, r14=behind_the_last_call("do_panic"))
    found = kernel.walked(AT["diag308_dump"], ASYNC_STACK)
    assert found == ["diag308_dump", "do_panic"]
