/*
 * A plugin of QEMU's TCG. It holds a CPU at the beginning of its external interruption handler if
 * the interruption is of one kind, lets another process see and change memory, and goes on when
 * that process says so. The machine does not stop meanwhile, and no translated code is lost.
 *
 * Arguments: control, socket and ram are file descriptors that QEMU has inherited: memory with
 * the fields of struct control, a connected socket, guest memory of so many bytes (size). Without
 * them it does nothing.
 *
 * The few functions of QEMU are declared here (QEMU include/qemu/qemu-plugin.h), because
 * distributions do not install its header. They are the same in the versions 1 to 5 of the API.
 */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct qemu_plugin_tb;

extern void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
	void (*callback)(uint64_t id, struct qemu_plugin_tb *block));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block,
	void (*callback)(unsigned int cpu, void *data), int flags, void *data);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = PLUGIN_VERSION;

/* Written by the other process, all but tries while the machine is stopped. Numbers are the host's. */
struct control {
	uint64_t handler;	/* virtual address of the handler; 0 for none */
	uint64_t interruption;	/* absolute address of the interruption parameters; 0: do not hold */
	uint32_t cpu;		/* whose parameters these are */
	uint8_t code[2];	/* of the interruption, as in memory */
	uint8_t unused[2];
	uint32_t tries;		/* how often to look for the answer before the thread sleeps */
};

/* Sent when a CPU is held; one byte is the answer. */
struct held {
	uint32_t cpu;
	uint32_t of_this_cpu;	/* whether the parameters are known */
	uint8_t interruption[8];	/* parameter, CPU address, code */
};

static volatile struct control *control;
static const uint8_t *ram;
static uint64_t size;
static int peer = -1;

static void ask(const struct held *held)
{
	char answer;
	ssize_t done;

	do
		done = write(peer, held, sizeof(*held));
	while (done < 0 && errno == EINTR);
	if (done != sizeof(*held))
		return;
	for (uint32_t tries = control->tries; tries; tries--) {
		done = recv(peer, &answer, 1, MSG_DONTWAIT);
		if (done >= 0 || (errno != EAGAIN && errno != EINTR))
			return;
	}
	/* no answer will come from a process that has closed its end */
	do
		done = read(peer, &answer, 1);
	while (done < 0 && errno == EINTR);
}

static void entered(unsigned int cpu, void *data)
{
	struct held held = { .cpu = cpu };
	uint64_t at = control->interruption;

	(void)data;
	if (!at || at > size - sizeof(held.interruption))
		return;
	if (cpu == control->cpu) {
		memcpy(held.interruption, ram + at, sizeof(held.interruption));
		if (held.interruption[6] != control->code[0] ||
		    held.interruption[7] != control->code[1])
			return;
		held.of_this_cpu = 1;
	}
	ask(&held);
}

static void translated(uint64_t id, struct qemu_plugin_tb *block)
{
	uint64_t handler = control->handler;

	(void)id;
	if (handler && qemu_plugin_tb_vaddr(block) == handler)
		qemu_plugin_register_vcpu_tb_exec_cb(block, entered, 0, NULL);
}

static int64_t number(const char *name, int argc, char **argv)
{
	size_t length = strlen(name);

	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], name, length) && argv[i][length] == '=')
			return strtoll(argv[i] + length + 1, NULL, 10);
	return -1;
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	int64_t of_control = number("control", argc, argv), of_ram = number("ram", argc, argv);
	void *mapped;

	(void)info;
	if (of_control < 0)	/* only to see whether QEMU takes it */
		return 0;
	peer = number("socket", argc, argv);
	size = number("size", argc, argv);
	mapped = mmap(NULL, sizeof(*control), PROT_READ, MAP_SHARED, of_control, 0);
	if (mapped == MAP_FAILED)
		return 1;
	control = mapped;
	mapped = mmap(NULL, size, PROT_READ, MAP_SHARED, of_ram, 0);
	if (mapped == MAP_FAILED)
		return 1;
	ram = mapped;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
