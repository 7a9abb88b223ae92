# Prints one line that never ends, with what would make a terminal do things.
	.include "entry.inc"
0:	PRINT	more
	j	0b
	.align	8
more:	MESSAGE	"\033]0;title\007\033[2J\033[31m[bold]PASS[/]", 0x41
