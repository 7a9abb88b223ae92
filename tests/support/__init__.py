"""What tests share: synthetic crashes, dumps and disks, and programs that stand in for others."""

from pathlib import Path

FAKE_WORKER = Path(__file__).with_name("fake_worker.py")
TERMINAL_COMMAND = Path(__file__).with_name("terminal_command.py")
