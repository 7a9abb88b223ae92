# As a compressed kernel: what it carries looks like DIAGNOSE X'308' two thousand times, and is gone
# when the kernel is unpacked over it. Only then there is a real one, which stores the IPL parameter
# block. The machine is powered off if that is the block of a SCSI dump load, and not QEMU's own.
	.include "entry.inc"
	larl	%r2,packed
	llilf	%r3,2000*4
	lghi	%r5,0
	mvcl	%r2,%r4
	larl	%r2,unpacked
	larl	%r3,packed
	mvc	0(end-unpacked,%r3),0(%r2)
	stg	%r1,0x1d0(%r0)
	br	%r3
	.align	8
unpacked: llilf	%r4,0x60000
	lghi	%r1,6
	DIAG308	%r4,%r1
	lb	%r6,12(%r4)
	cghi	%r6,0
	jne	.
	lpswe	off-unpacked(%r3)
	.align	8
off:	.quad	0x0002000180000000,0xfff
end:
	.org	0x20000
packed:	.fill	2000,4,0x83120308
