# Prints one endless line with control sequences for a terminal.
	.include "entry.inc"
0:	PRINT	more
	j	0b
	.align	8
more:	MESSAGE	"\033]0;title\007\033[2J\033[31m[bold]PASS[/]", 0x41
