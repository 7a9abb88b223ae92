# Reads the external interruption code, and sets its program new PSW, in a secondary address space: in the
# primary one, in which a debugger looks, there is no lowcore.
	.include "entry.inc"
	llilf	%r2,0x30000		# page tables: of the primary space, then of the secondary one
	lghi	%r3,0
	lghi	%r4,256
0:	stg	%r3,0(%r2)
	stg	%r3,0x800(%r2)
	aghi	%r2,8
	aghi	%r3,4096
	brctg	%r4,0b
	llilf	%r2,0x30000
	lghi	%r3,0x400		# page 0 is invalid
	stg	%r3,0(%r2)
	llilf	%r2,0x34000		# segment tables, at 0x34000 and 0x36000
	lghi	%r3,0x20		# invalid
	lghi	%r4,2048
1:	stg	%r3,0(%r2)
	aghi	%r2,8
	brctg	%r4,1b
	llilf	%r2,0x34000
	llilf	%r3,0x30000
	stg	%r3,0(%r2)
	llilf	%r2,0x36000
	llilf	%r3,0x30800
	stg	%r3,0(%r2)
	larl	%r2,spaces
	lctlg	%c1,%c1,0(%r2)
	lctlg	%c7,%c7,8(%r2)
	larl	%r2,secondary
	lpswe	0(%r2)
there:	lh	%r1,0x86(%r0)
	stg	%r1,0x1d0(%r0)
	lghi	%r5,6
	llilf	%r4,0x20000
	DIAG308	%r4,%r5
	j	there
	.align	8
spaces:	.quad	0x34000, 0x36000
secondary: .quad 0x0400800180000000,there
