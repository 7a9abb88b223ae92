# Endless DIAGNOSE X'308': each is a stop, and a line in the journal.
	.include "entry.inc"
	lghi	%r1,6
	llilf	%r4,0x20000
0:	DIAG308	%r4,%r1
	j	0b
