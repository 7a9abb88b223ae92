# Two million places that look like DIAGNOSE X'308'; the kernel reports again and again that it stays.
	.include "entry.inc"
0:	stg	%r1,0x1d0(%r0)
	j	0b
	.org	0x20000
	.fill	0x200000,4,0x83120308
