from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ExitCode, UsageError
from harness.qemu.binary import QemuBinary
from harness.qemu.cpu_model import require_cpu_model

# it knows the models max and z900, as QEMU 7.2 under TCG does, and answers QMP only with these
FAKE = """#!/bin/sh
case "$*" in
    *"-cpu max"*|*"-cpu z900"*) cat >/dev/null; cat <<'.'
{"QMP": {"version": {}}}
{"return": {}}
.
    echo '{"return": [{"name": "z900", "unavailable-features": []},' \\
        '{"name": "zEC12", "unavailable-features": ["te"]},' \\
        '{"name": "z900-base", "unavailable-features": []},' \\
        '{"name": "max", "unavailable-features": []}]}' ;;
    *"-cpu help"*) echo "s390 max" ;;
    *"-cpu zEC12"*) echo "qemu: Some features are not available: $(seq -s ' ' 200)" >&2; exit 1 ;;
    *) echo "qemu: unable to find CPU model" >&2; exit 1 ;;
esac
"""


@pytest.fixture
def qemu(tmp_path: Path) -> QemuBinary:
    path = tmp_path / "qemu"
    path.write_text(FAKE)
    path.chmod(0o755)
    return QemuBinary(path, (7, 2, 22))


@pytest.mark.parametrize("model", ["max", "z900", "max,vx=off"])
def test_a_model_that_qemu_starts_with_is_right(qemu: QemuBinary, model: str):
    require_cpu_model(qemu, model)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("z9999", "unable to find CPU model"),
        ("zEC12", "Some features are not available: 1 2 3"),
        ("help", "it said nothing"),
    ],
)
def test_a_model_that_qemu_has_not_is_one_line_that_names_the_others(
    qemu: QemuBinary, model: str, why: str
):
    with pytest.raises(UsageError) as refused:
        require_cpu_model(qemu, model)
    assert f"QEMU 7.2.22 cannot emulate '{model}': {why}" in refused.value.message
    assert len(refused.value.message) < 200
    assert refused.value.hint == "without KVM it can emulate max, z900"
    assert refused.value.exit_code is ExitCode.USAGE
