/* SPDX-License-Identifier: MIT */
/*
 * Leaves every register of every CPU with a value of its own that is not zero, so that a dump which
 * loses one cannot look right.
 *
 * Each CPU but the last loads its registers and then waits disabled, runs, or is stopped, in turn;
 * the name of the trigger says what CPU 0 does. When all of them have their values, the last CPU
 * loads its own, tells so with one SERVICE CALL of its own, and waits disabled. So the text on the
 * console comes after the last load.
 *
 * Left as Linux has them, for Linux would not run without: control registers 0, 1, 2, 5, 6, 7, 13
 * and 14, the prefix, the CPU timer. None of them is zero; the harness looks whether any register is.
 */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/timex.h>
#include <asm/facility.h>

enum registers_kind { REGISTERS_WAIT, REGISTERS_RUNNING, REGISTERS_STOPPED, REGISTERS_KINDS };

#define REGISTERS_CPUS 64 /* at most */
#define FACILITY_VECTOR 129
#define FPC_VALUE 0xf8f80033u /* all masks and flags; the DXC is added; rounding modes 3 */
#define WRITE_EVENT_DATA 0x00760005u
#define REGISTERS_TEXT "zcrash: every register is loaded\n"

/* what one CPU loads, in the order of the instructions below; the last of it has to outlive that */
struct registers {
	u64 todpr;
	u64 comparator;
	u64 crs3_4[2], crs8_12[5], cr15;
	u64 gprs[16];
	u32 acrs[16];
	u32 fpc;
	u32 reserved;
	u64 vxrs[32][2];
	/* general register 1 points here in the end */
	volatile u8 loaded;
	u8 unused[7];
	u64 wait_psw[2];
};

static struct registers registers[REGISTERS_CPUS];

static u64 own_value(unsigned int cpu, unsigned int number)
{
	/* odd multiples of an odd number: none is zero, no two halves are alike */
	return (cpu * 256ULL + number * 2 + 1) * 0x9e3779b97f4a7c15ULL;
}

static void prepare_registers(unsigned int cpu, void *sccb)
{
	struct registers *own = &registers[cpu];
	unsigned int at, number = 0;

	own->todpr = 0x1100 + cpu;
	/* some two weeks from now, and later with each CPU */
	own->comparator = get_tod_clock() + ((cpu + 1ULL) << 52);
	for (at = 0; at < 2; at++)
		own->crs3_4[at] = own_value(cpu, number++);
	for (at = 0; at < 5; at++)
		own->crs8_12[at] = own_value(cpu, number++);
	own->crs8_12[4] &= 0x7ffffffffffffffcULL; /* control register 12: no trace is switched on */
	own->cr15 = own_value(cpu, number++);
	for (at = 0; at < 16; at++) {
		own->gprs[at] = own_value(cpu, number++);
		own->acrs[at] = own_value(cpu, number++) >> 32 | 1;
	}
	for (at = 0; at < 32; at++) {
		own->vxrs[at][0] = own_value(cpu, number++);
		own->vxrs[at][1] = own_value(cpu, number++);
	}
	own->fpc = FPC_VALUE | (cpu + 1) << 8;
	own->loaded = 0;
	own->wait_psw[0] = 0x0002000180000000ULL; /* disabled wait, 64-bit addresses */
	own->wait_psw[1] = 0x5eed0000ULL + cpu;
	/* what the instructions at the end need has to be in registers, too */
	own->gprs[1] = (u64)&own->loaded;
	own->gprs[3] = (own->gprs[3] & ~0xffffULL) | cpu; /* a CPU address for SIGP */
	if (sccb) {
		own->gprs[2] = (own->gprs[2] & ~0xffffffffULL) | WRITE_EVENT_DATA;
		own->gprs[3] = virt_to_phys(sccb);
	}
}

/* a Write Event Data SCCB with one message for the operator (drivers/s390/char/sclp_vt220.c) */
static void prepare_text(u8 *sccb)
{
	static const char text[] = REGISTERS_TEXT;
	u16 *header = (u16 *)sccb, *event = (u16 *)(sccb + 8);

	event[0] = 6 + sizeof(text) - 1;
	sccb[10] = 0x1a; /* VT220 message */
	memcpy(sccb + 14, text, sizeof(text) - 1);
	header[0] = 8 + event[0];
}

#define LOAD_REGISTERS                                                                             \
	"	lgr	%%r1,%[own]\n"                                                                     \
	"	lg	%%r0,0(%%r1)\n"                                                                     \
	"	sckpf\n"                                                                                 \
	"	sckc	8(%%r1)\n"                                                                         \
	"	lctlg	%%c3,%%c4,16(%%r1)\n"                                                              \
	"	lctlg	%%c8,%%c12,32(%%r1)\n"                                                             \
	"	lctlg	%%c15,%%c15,72(%%r1)\n"                                                            \
	"	lfpc	272(%%r1)\n"                                                                       \
	"	.machine push\n"                                                                         \
	"	.machine z13\n"                                                                          \
	"	vlm	%%v0,%%v15,280(%%r1)\n"                                                            \
	"	vlm	%%v16,%%v31,536(%%r1)\n"                                                           \
	"	.machine pop\n"                                                                          \
	"	lam	%%a0,%%a15,208(%%r1)\n"                                                            \
	"	lmg	%%r0,%%r15,80(%%r1)\n"

#define FOR_EVER "0:	j	0b\n"

static void __noreturn then_wait(struct registers *own)
{
	asm volatile(LOAD_REGISTERS "	mvi	0(%%r1),1\n	lpswe	8(%%r1)\n" FOR_EVER
		     : : [own] "a"(own) : "memory");
	unreachable();
}

static void __noreturn then_run(struct registers *own)
{
	asm volatile(LOAD_REGISTERS "	mvi	0(%%r1),1\n" FOR_EVER
		     : : [own] "a"(own) : "memory");
	unreachable();
}

static void __noreturn then_stop(struct registers *own)
{
	asm volatile(LOAD_REGISTERS "	mvi	0(%%r1),1\n	sigp	%%r2,%%r3,5\n" FOR_EVER
		     : : [own] "a"(own) : "memory");
	unreachable();
}

static void __noreturn then_tell(struct registers *own)
{
	asm volatile(LOAD_REGISTERS "	.insn	rre,0xb2200000,%%r2,%%r3\n	lpswe	8(%%r1)\n" FOR_EVER
		     : : [own] "a"(own) : "memory");
	unreachable();
}

static void load_own(void *first)
{
	unsigned int cpu = smp_processor_id(), last = num_online_cpus() - 1, other;

	local_irq_disable();
	if (cpu == last) {
		for (other = 0; other < last; other++)
			while (!registers[other].loaded)
				cpu_relax();
		then_tell(&registers[cpu]);
	}
	switch ((cpu + (unsigned long)first) % REGISTERS_KINDS) {
	case REGISTERS_WAIT:
		then_wait(&registers[cpu]);
	case REGISTERS_RUNNING:
		then_run(&registers[cpu]);
	default:
		then_stop(&registers[cpu]);
	}
}

/* does not come back, if it can be done */
static int load_registers(enum registers_kind first)
{
	unsigned int cpu, cpus = num_online_cpus();
	u8 *sccb;

	BUILD_BUG_ON(offsetof(struct registers, gprs) != 80);
	BUILD_BUG_ON(offsetof(struct registers, acrs) != 208);
	BUILD_BUG_ON(offsetof(struct registers, fpc) != 272);
	BUILD_BUG_ON(offsetof(struct registers, vxrs) != 280);
	if (!test_facility(FACILITY_VECTOR) || cpus > REGISTERS_CPUS || cpus < REGISTERS_KINDS + 1)
		return -ENODEV;
	sccb = (u8 *)get_zeroed_page(GFP_KERNEL | GFP_DMA);
	if (!sccb)
		return -ENOMEM;
	prepare_text(sccb);
	for (cpu = 0; cpu < cpus; cpu++)
		prepare_registers(cpu, cpu == cpus - 1 ? sccb : NULL);
	preempt_disable();
	for_each_online_cpu(cpu)
		if (cpu != smp_processor_id())
			smp_call_function_single(cpu, load_own, (void *)(unsigned long)first, 0);
	load_own((void *)(unsigned long)first);
	return 0;
}
