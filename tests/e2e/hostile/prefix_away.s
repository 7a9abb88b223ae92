# Sets a prefix that is not in memory, and wants an interruption there.
	.include "entry.inc"
	larl	%r5,prefix
	spx	0(%r5)
0:	lh	%r1,0x86(%r0)
	DIAG308	%r15,%r1
	j	0b
	.align	8
prefix:	.long	0x7fffe000
