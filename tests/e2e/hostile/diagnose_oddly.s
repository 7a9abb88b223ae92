# DIAGNOSE X'308' with operands that make no sense, each followed by the next one: the program
# interruption that it is ends in "next". Then with an odd register, which is one for ever.
	.include "entry.inc"
	larl	%r5,interrupted
	mvc	0x1d0(16,%r0),0(%r5)
	larl	%r6,operands
next:	lg	%r2,0(%r6)
	lg	%r4,8(%r6)
	aghi	%r6,16
	ltgr	%r4,%r4
	jm	odd
	DIAG308	%r2,%r4
	j	next
odd:	larl	%r5,again
	mvc	0x1d0(16,%r0),0(%r5)
	llilf	%r15,0x20000
	lghi	%r4,6
repeat:	DIAG308	%r15,%r4
	j	repeat
	.align	8
interrupted: .quad 0x0000000180000000,next
again:	.quad	0x0000000180000000,repeat
operands:
	.quad	0x20001,6, 0xffffffffffffffff,6, 0x10000000,6, 0x0ffff001,6, 0xfffffffffffff000,6
	.quad	0x20001,5, 0x0fffffff,5, 0xfffffffffffff000,5, 0,5, 0x7ffffffffffff000,5
	.quad	0x20000,8, 0x20000,0xffff, 0x20000,0x10006, 0x20000,0x100000006, 0x20000,24
	.quad	0,-1
