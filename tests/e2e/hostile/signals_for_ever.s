# SIGNAL PROCESSOR without end, to CPUs that are there and others, for status areas that make no sense.
# Only orders that leave a CPU as it is: after another one they are QEMU's. For two CPUs.
	.include "entry.inc"
	stg	%r1,0x1d0(%r0)		# here it stays, so its instructions are looked for
	larl	%r5,interrupted
	mvc	0x1d0(16,%r0),0(%r5)
round:	larl	%r7,areas
	larl	%r8,end
next:	lg	%r3,0(%r7)
	.irp	order, 0x01, 0x0e, 0x17, 0xff
	lghi	%r4,\order
	.irp	cpu, 0, 1, 77, -1
	lghi	%r5,\cpu
	sigp	%r2,%r5,0(%r4)
	.endr
	.endr
skip:	aghi	%r7,8
	clgr	%r7,%r8
	jl	next
	j	round
	.align	8
interrupted: .quad 0x0000000180000000,skip
areas:	.quad	0x30000, 0x30001, 0x7ffffe00, 0x0ffffe00, 0x10000000, 0xfffffffffffffc00, 0xffffffffffffffff
end:
