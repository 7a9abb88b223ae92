# Sends SDIAS requests that make no sense, round after round: each request is a page at "requests".
	.include "entry.inc"
	larl	%r4,external
	mvc	0x1b0(16,%r0),0(%r4)
	larl	%r4,program
	mvc	0x1d0(16,%r0),0(%r4)
	larl	%r4,signals
	lctlg	%c0,%c0,0(%r4)
round:	larl	%r7,requests
next:	larl	%r3,sccb
	larl	%r8,request
	mvc	0(88,%r3),0(%r8)
	mvc	14(1,%r3),0(%r7)	# event_qual, asa, blk_cnt and fbn of sclp_sdias.h
	mvc	36(4,%r3),4(%r7)
	mvc	40(8,%r3),8(%r7)
	mvc	52(4,%r3),16(%r7)
	SERVC	0x00760005,sccb
	larl	%r4,waiting
	lpswe	0(%r4)
signal:	lh	%r1,0x86(%r0)		# as every kernel does: here the answer comes
	aghi	%r7,24
	larl	%r8,end
	clgr	%r7,%r8
	jl	next
	j	round
	.align	8
waiting: .quad	0x0102000180000000,0	# enabled wait
external: .quad	0x0000000180000000,signal
program: .quad	0x0000000180000000,round
signals: .quad	0x200			# service signals
request: .short	88,0,0,0
	.short	80
	.byte	0x1c,0
	.short	0
	.fill	70,1,0
	.align	8
# qualifier, block count, address, first block
	.macro	ASK qualifier, count, address, block
	.byte	\qualifier,0,0,0
	.long	\count
	.quad	\address
	.long	\block,0
	.endm
requests:
	ASK	1,0,0,0
	ASK	0,0,0,0
	ASK	0,1,0x0f000000,2
	ASK	0,0xffffffff,0x0c000000,2
	ASK	0,0xffffffff,0xffffffffffffffff,0xffffffff
	ASK	0,0xffffffff,0xfffffffffffff000,2
	ASK	0,1,0x10000000,2
	ASK	0,1,0x0fffffff,2
	ASK	0,2,0x0c000001,0
	ASK	0,0,0,0xffffffff
	ASK	0,1,0x8000000000000000,2
	ASK	0,1,0x0c000000,0x2001
	ASK	0,1,0x0c000000,0x2002
	ASK	2,1,0,2
	ASK	255,0xffffffff,0,0xffffffff
end:
