"""``python -m harness`` is ``zharness``."""

from harness.cli import main

main()
