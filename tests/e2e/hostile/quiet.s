# Does nothing, for ever.
	.include "entry.inc"
0:	j	0b
