/*
 * Stands in for the zfcpdump program of s390-tools: a static program that insists on what that one
 * insists on, in its order, and prints its lines. It sets the FCP channel and the LUN online in the
 * files of the zfcp driver, takes /dev/sda, looks at boot record, superblock, partition and
 * checksum, copies what is in the HSA first, releases it, and writes the first page last.
 */
typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned short u16;

static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r1 asm("1") = nr, r2 asm("2") = a, r3 asm("3") = b;
	register long r4 asm("4") = c, r5 asm("5") = d, r6 asm("6") = e, r7 asm("7") = f;

	asm volatile("svc 0" : "+d" (r2) : "d" (r1), "d" (r3), "d" (r4), "d" (r5), "d" (r6), "d" (r7)
		     : "memory", "cc");
	return r2;
}

#define CALL(nr, a, b, c)	call(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define READ(fd, to, n)		CALL(3, fd, to, n)
#define WRITE(fd, from, n)	CALL(4, fd, from, n)
#define OPEN(path, flags)	CALL(5, path, flags, 0)
#define CLOSE(fd)		CALL(6, fd, 0, 0)
#define SEEK(fd, at, from)	CALL(19, fd, at, from)
#define IOCTL(fd, what, to)	CALL(54, fd, what, to)
#define FSYNC(fd)		CALL(118, fd, 0, 0)
#define REBOOT(how)		CALL(88, 0xfee1dead, 0x28121969, how)
#define MOUNT(type, at)		call(21, (long)(type), (long)(at), (long)(type), 0, 0, 0)
#define BLKGETSIZE64		0x80081272
#define HDIO_GETGEO		0x0301
#define EBUSY			16

static char text[1024], page[4096], headers[4096], buffer[1 << 16], mbr[512], superblock[512];
static u64 *sb = (u64 *)superblock;
static char device[64], port[64], lun[64];

static u64 length(const char *s)
{
	u64 n = 0;

	while (s[n])
		n++;
	return n;
}

static void say(const char *what)
{
	WRITE(1, what, length(what));
}

static char *join(const char *a, const char *b, const char *c, const char *d, const char *e)
{
	const char *parts[] = { a, b, c, d, e };
	char *to = text;

	for (int i = 0; i < 5; i++)
		for (const char *from = parts[i]; *from; from++)
			*to++ = *from;
	*to = 0;
	return text;
}

static void end(int failed)
{
	long fd;

	say(failed ? " \nDump failed\n" : " \nDump successful\n");
	fd = OPEN("/sys/kernel/debug/zcore/reipl", 1);
	if (fd >= 0)
		WRITE(fd, "1", 1);
	REBOOT(0x4321fedc);
	for (;;)
		;
}

static void fail(const char *why)
{
	say("ERROR: ");
	say(why);
	say("\n");
	end(1);
}

static void need(int good, const char *why)
{
	if (!good)
		fail(why);
}

static void mounted(const char *type, const char *at)
{
	long rc = MOUNT(type, at);

	need(rc == 0 || rc == -EBUSY, "Unable to mount");
}

static void get(const char *path, char *to)
{
	long fd = OPEN(path, 0), n;

	need(fd >= 0, path);
	n = READ(fd, to, 63);
	need(n > 0, path);
	to[to[n - 1] == '\n' ? n - 1 : n] = 0;
	CLOSE(fd);
}

static void put(const char *path, const char *what)
{
	long fd = OPEN(path, 1);

	need(fd >= 0 && WRITE(fd, what, length(what)) > 0, path);
	CLOSE(fd);
}

static void enable_zfcp_device(void)
{
	const char *driver = "/sys/bus/ccw/drivers/zfcp/";

	get("/sys/firmware/ipl/device", device);
	put(join(driver, device, "/online", "", ""), "1\n");
	get("/sys/firmware/ipl/wwpn", port);
	get("/sys/firmware/ipl/lun", lun);
	put(join(driver, device, "/", port, "/unit_add"), lun);
}

static u64 hsa_size(void)
{
	u64 size = 0;
	char *at = text;

	get("/sys/kernel/debug/zcore/hsa", text);
	for (at += at[1] == 'x' ? 2 : 0; *at; at++)
		size = size << 4 | (u64)(*at <= '9' ? *at - '0' : (*at | 32) - 'a' + 10);
	return size;
}

static u64 cksm(long disk)
{
	u64 sum = 0x12345678;

	SEEK(disk, sb[2] + sb[6], 0);
	READ(disk, page, sizeof(page));
	for (int i = 0; i < 1024; i++)
		sum += ((u32 *)page)[i];
	while (sum >> 32)
		sum = (u32)sum + (sum >> 32);
	return sum;
}

static int is_partition(char number)
{
	struct { unsigned char heads, sectors; u16 cylinders; u64 start; } geometry;
	char node[] = "/dev/sda?";
	u64 size;
	long fd;

	node[8] = number;
	fd = OPEN(node, 0);
	if (fd < 0)
		return 0;
	need(IOCTL(fd, HDIO_GETGEO, &geometry) == 0, "Could not retrieve partition geometry");
	need(IOCTL(fd, BLKGETSIZE64, &size) == 0, "Could not retrieve partition size");
	CLOSE(fd);
	return geometry.start * 512 == sb[2] && size == sb[3];
}

static void checksum(long disk)
{
	sb[8] = cksm(disk);
	SEEK(disk, *(u64 *)(mbr + 0x78), 0);
	WRITE(disk, superblock, 72);
}

static void copy(long core, long disk, u64 from, u64 size)
{
	SEEK(core, from, 0);
	SEEK(disk, sb[2] + sb[4] + from, 0);
	while (size) {
		long n = READ(core, buffer, size < sizeof(buffer) ? size : sizeof(buffer));

		need(n > 0 && WRITE(disk, buffer, n) == n, "Write to partition failed");
		size -= n;
	}
}

/* all PT_LOADs: the parts in the HSA, or the others */
static void copy_loads(long core, long disk, u64 hsa, int saved)
{
	for (int i = 0; i < *(u16 *)(headers + 56); i++) {
		char *phdr = headers + 64 + 56 * i;
		u64 from = *(u64 *)(phdr + 8), at = *(u64 *)(phdr + 24), size = *(u64 *)(phdr + 32);
		u64 low = at >= hsa ? 0 : size < hsa - at ? size : hsa - at;

		if (*(u32 *)phdr == 1)
			copy(core, disk, from + (saved ? 0 : low), saved ? low : size - low);
		else
			copy(core, disk, from, saved ? 0 : size);
	}
}

static void dump(long disk)
{
	long core = OPEN("/proc/vmcore", 0);
	u64 size = SEEK(core, 0, 2), hsa = hsa_size();

	need(core >= 0, "Open /proc/vmcore failed");
	need(size <= sb[5], "Disk too small");
	SEEK(disk, sb[2] + sb[4], 0);
	WRITE(disk, "zfcpdump busy", 14);
	checksum(disk);
	SEEK(core, 0, 0);
	READ(core, headers, 4096);
	copy_loads(core, disk, hsa, 1);
	put("/sys/kernel/debug/zcore/hsa", "0");
	copy_loads(core, disk, hsa, 0);
	copy(core, disk, 0, 4096);
	checksum(disk);
	FSYNC(disk);
}

void _start(void)
{
	long disk;
	char number = '1';

	say("Linux System Dumper starting\n");
	mounted("proc", "/proc");
	mounted("sysfs", "/sys");
	mounted("debugfs", "/sys/kernel/debug");
	enable_zfcp_device();
	disk = OPEN("/dev/sda", 2);
	need(disk >= 0, "Cannot read MBR");
	READ(disk, mbr, 512);
	need(*(u32 *)(mbr + 0x70) == 0x7a49504c, "Boot_Info wrong magic");
	need(mbr[0x75] == 1 && mbr[0x76] == 2, "Boot_Info wrong type");
	SEEK(disk, *(u64 *)(mbr + 0x78), 0);
	READ(disk, superblock, 512);
	need(sb[0] == 0x5a46435044554d50, "Dump data block wrong magic");
	while (number <= '9' && !is_partition(number))
		number++;
	need(number <= '9', "Specified dump partition not found");
	need(cksm(disk) == sb[8], "Checksum wrong, filesystem changed");
	say("Writing dump:\n");
	dump(disk);
	end(0);
}
