# Reads the external interruption code without end, as if there were interruptions; it says service
# signal, for an SCCB that is not in memory.
	.include "entry.inc"
	llilf	%r1,0xfffffff8
	st	%r1,0x80(%r0)
	lghi	%r1,0x2401
	sth	%r1,0x86(%r0)
0:	lh	%r1,0x86(%r0)
	j	0b
