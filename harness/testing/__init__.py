"""Crashes and dumps inside pytest; ``harness.pytest_plugin`` is what pytest loads.

Test code that wants to name the types of its fixtures imports them from here::

    from harness.testing.crashed_system import CrashedSystem
    from harness.testing.dump_run import Dump, DumpMachine
"""
