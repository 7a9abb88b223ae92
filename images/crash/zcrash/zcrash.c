// SPDX-License-Identifier: MIT
/*
 * Ways to die in contexts that LKDTM does not reach on s390: its crash points there are kprobes
 * on functions that s390 has not (do_IRQ) or does not call (handle_irq_event).
 *
 *     echo oops-softirq > /sys/kernel/debug/zcrash
 */
#include <linux/console.h>
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/uaccess.h>

#include "registers.h"

static atomic_t arrived;

/* a store to the lowcore's first bytes: low-address protection makes it a protection exception */
static noinline void zcrash_oops(void)
{
	pr_info("zcrash: oops, in_hardirq %d, in_serving_softirq %d\n",
		!!hardirq_count(), !!in_serving_softirq()); /* in_hardirq() is of Linux 5.11 */
	*(volatile int *)NULL = 0;
}

static void in_timer(struct timer_list *unused)
{
	zcrash_oops();
}

static void in_irq_work(struct irq_work *unused)
{
	zcrash_oops();
}

static DEFINE_TIMER(timer, in_timer);
static struct irq_work work;

/* both CPUs enter panic() as nearly at once as it goes; the second one finds it taken */
static void panic_together(void *unused)
{
	atomic_inc(&arrived);
	while (atomic_read(&arrived) < 2)
		cpu_relax();
	panic("zcrash: nested panic on CPU %d", smp_processor_id());
}

static int panic_on_two_cpus(void)
{
	unsigned int other;

	preempt_disable();
	other = cpumask_any_but(cpu_online_mask, smp_processor_id());
	if (other >= nr_cpu_ids) {
		preempt_enable();
		return -ENXIO;
	}
	smp_call_function_single(other, panic_together, NULL, 0);
	panic_together(NULL);
	return 0;
}

static ssize_t crash(struct file *unused, const char __user *from, size_t count, loff_t *at)
{
	char name[32] = "";
	int error = 0;

	if (count >= sizeof(name) || copy_from_user(name, from, count))
		return -EINVAL;
	if (sysfs_streq(name, "oops")) {
		zcrash_oops();
	} else if (sysfs_streq(name, "oops-softirq")) {
		mod_timer(&timer, jiffies + 1);
	} else if (sysfs_streq(name, "oops-hardirq")) {
		irq_work_queue(&work);
	} else if (sysfs_streq(name, "panic-console-lock")) {
		console_lock();
		panic("zcrash: panic with the console lock held");
	} else if (sysfs_streq(name, "panic-two-cpus")) {
		error = panic_on_two_cpus();
	} else if (sysfs_streq(name, "registers-wait")) {
		error = load_registers(REGISTERS_WAIT);
	} else if (sysfs_streq(name, "registers-running")) {
		error = load_registers(REGISTERS_RUNNING);
	} else if (sysfs_streq(name, "registers-stopped")) {
		error = load_registers(REGISTERS_STOPPED);
	} else {
		error = -EINVAL;
	}
	return error ?: count;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.write = crash,
};

static int __init zcrash_init(void)
{
	init_irq_work(&work, in_irq_work);
	return PTR_ERR_OR_ZERO(debugfs_create_file("zcrash", 0200, NULL, NULL, &operations));
}

/* no module_exit(): nobody unloads it, and the names of what that would call change */
module_init(zcrash_init);
MODULE_DESCRIPTION("Ways to die");
MODULE_LICENSE("Dual MIT/GPL");
