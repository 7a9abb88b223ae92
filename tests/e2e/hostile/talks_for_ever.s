# Prints a message of success, and then prints without end.
	.include "entry.inc"
	PRINT	well
0:	PRINT	more
	j	0b
	.align	8
well:	.short	256,0,0,0
	.short	248
	.byte	0x1a,0
	.short	0
	.ascii	"zfcpdump result: ok\n"
	.fill	222,1,0x0a
more:	MESSAGE	"more"
