"""Layout of a 64-bit big-endian ELF core.

References: System V ABI, gABI chapters 4 "ELF Header" and 5 "Program Header"; Linux
``include/uapi/linux/elf.h``. The field names come from there.
"""

from __future__ import annotations

from dissect.cstruct import cstruct

ELFMAG = b"\x7fELF"
EI_CLASS, EI_DATA, EI_VERSION = 4, 5, 6
ELFCLASS64 = 2
ELFDATA2MSB = 2
EV_CURRENT = 1
ET_CORE = 4
EM_S390 = 22
PT_NULL = 0
PT_LOAD = 1
PT_NOTE = 4
NT_PRPSINFO = 3
PN_XNUM = 0xFFFF  # too many for e_phnum: the number is elsewhere
# p_flags of an entry (PT_NULL, which no reader uses) in which our dump tool tells that the dump is
# limited, which ELF cannot: p_paddr is where its memory ends, p_vaddr where the machine's did
LIMITED = 0x5A4C494D

DEFINITIONS = """
struct Elf64_Ehdr {
    uint8  e_ident[16];
    uint16 e_type;
    uint16 e_machine;
    uint32 e_version;
    uint64 e_entry;
    uint64 e_phoff;
    uint64 e_shoff;
    uint32 e_flags;
    uint16 e_ehsize;
    uint16 e_phentsize;
    uint16 e_phnum;
    uint16 e_shentsize;
    uint16 e_shnum;
    uint16 e_shstrndx;
};

struct Elf64_Phdr {
    uint32 p_type;
    uint32 p_flags;
    uint64 p_offset;
    uint64 p_vaddr;
    uint64 p_paddr;
    uint64 p_filesz;
    uint64 p_memsz;
    uint64 p_align;
};

struct Elf64_Shdr {
    uint32 sh_name;
    uint32 sh_type;
    uint64 sh_flags;
    uint64 sh_addr;
    uint64 sh_offset;
    uint64 sh_size;
    uint32 sh_link;
    uint32 sh_info;
    uint64 sh_addralign;
    uint64 sh_entsize;
};

struct Elf64_Nhdr {
    uint32 n_namesz;
    uint32 n_descsz;
    uint32 n_type;
};
"""

c_elf = cstruct(DEFINITIONS, endian=">")

EHDR_SIZE = len(c_elf.Elf64_Ehdr)
PHDR_SIZE = len(c_elf.Elf64_Phdr)
SHDR_SIZE = len(c_elf.Elf64_Shdr)
NHDR_SIZE = len(c_elf.Elf64_Nhdr)
