/* The plugin's side of SDIAS requests without QEMU: linked with images/plugin/hold.c. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

struct qemu_plugin_tb {
	uint64_t address;
};

extern int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);

static void (*translate)(uint64_t id, struct qemu_plugin_tb *block);
static void (*enter)(unsigned int cpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
	void (*callback)(uint64_t id, struct qemu_plugin_tb *block))
{
	(void)id;
	translate = callback;
}

void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block,
	void (*callback)(unsigned int cpu, void *data), int flags, void *data)
{
	(void)block;
	(void)flags;
	(void)data;
	enter = callback;
}

uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block)
{
	return block->address;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

/* HANDLER COUNT RAM SIZE SCCB-OFFSET SCCB-BYTES, then the plugin's arguments; prints seconds */
int main(int argc, char **argv)
{
	struct qemu_plugin_tb block = { .address = strtoull(argv[1], NULL, 0) };
	long count = atol(argv[2]), at = atol(argv[5]), bytes = atol(argv[6]);
	uint8_t *ram = mmap(NULL, atol(argv[4]), PROT_READ | PROT_WRITE, MAP_SHARED, atoi(argv[3]), 0);
	uint8_t *request = malloc(bytes);
	double start;

	if (ram == MAP_FAILED || !request || qemu_plugin_install(0, NULL, argc - 7, argv + 7))
		return 1;
	translate(0, &block);
	if (!enter)
		return 1;
	memcpy(request, ram + at, bytes);
	start = now();
	for (long i = 0; i < count; i++) {
		memcpy(ram + at, request, bytes);
		enter(0, NULL);
		if (!memcmp(ram + at, request, bytes))
			return 2;	/* nobody has answered */
	}
	printf("%.9f\n", now() - start);
	return 0;
}
