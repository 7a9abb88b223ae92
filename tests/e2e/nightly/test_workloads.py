"""A workload of the user's own: it runs until the crash, or the run says why it did not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command_line.zharness import Zharness

pytestmark = pytest.mark.e2e

WORKING = """\
#!/bin/sh
turns=0
while :; do
    turns=$((turns + 1))
    printf '%015d\\n' $turns 1<> "$ZHARNESS_COUNTER"
done
"""
LIMIT = "0.1"  # of the time that phases may take


def scenario(directory: Path, script: str) -> Path:
    load = directory / "load.sh"
    load.write_text(script)
    file = directory / "loaded.toml"
    file.write_text(f"extends = 'quick'\n[crashed]\nworkload = '{load}'\n")
    return file


def test_a_script_of_the_users_own_works_until_the_crash(zharness: Zharness, images, tmp_path):
    output = tmp_path / "evidence"
    done = zharness("run", scenario(tmp_path, WORKING), "--json", "--output", output)
    assert done.code == 0, done.err
    machine = json.loads((output / "crash/machine.json").read_bytes())
    assert machine["workload"] == "load.sh"
    assert machine["workload_counter"]["after"] > machine["workload_counter"]["before"]
    again = zharness("verify", output)
    assert again.code == 0, again.err


@pytest.mark.parametrize(
    ("script", "what"),
    [
        (
            "#!/bin/sh\necho no such device\nexit 1\n",
            "ended before the system was crashed: no such",
        ),
        ("#!/bin/nothing\n", "ended before the system was crashed"),
        (
            "#!/bin/sh\necho 000000000000001 > $ZHARNESS_COUNTER\nwhile :; do :; done\n",
            "its counter stayed at 1",
        ),
        ("#!/bin/sh\nwhile :; do :; done\n", "its counter printed no number"),
    ],
)
def test_one_that_does_not_is_an_error_of_one_line(zharness, images, tmp_path, script, what):
    file = scenario(tmp_path, script)
    output = tmp_path / "evidence"
    done = zharness("run", file, "--fresh", "--time-factor", LIMIT, "--output", output)
    assert done.code == 3
    lines = [line for line in done.err.splitlines() if line.startswith("zharness: workload")]
    assert len(lines) == 1
    assert "workload load.sh" in lines[0]
    assert what in lines[0]
