"""Code that tests share: synthetic crashes, dumps and disks, and fake programs."""

from pathlib import Path

FAKE_WORKER = Path(__file__).with_name("runs") / "fake_worker.py"
FAKE_ZHARNESS = Path(__file__).with_name("command_line") / "fake_zharness.py"
NO_MIRROR = "file:/no/such/mirror"
