# Puts other instructions at a breakpoint, and executes them without end.
	.include "entry.inc"
	lghi	%r1,6
	llilf	%r4,0x20000
	larl	%r5,other
	larl	%r6,site
	stg	%r1,0x1d0(%r0)
	mvc	0(4,%r6),0(%r5)
	j	site
	.align	4
site:	DIAG308	%r4,%r1
	j	site
other:	lghi	%r7,1
