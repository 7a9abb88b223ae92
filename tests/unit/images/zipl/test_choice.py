from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.images.zipl.choice import is_path, require_choice


@pytest.mark.parametrize("choice", ["sid", "trixie", "stable-backports"])
def test_a_suite(choice: str):
    assert require_choice(choice) == choice
    assert not is_path(choice)


@pytest.mark.parametrize("choice", ["./sid", "/opt/s390-tools", "../tree"])
def test_what_has_a_slash_is_a_path(choice: str):
    assert require_choice(choice) == choice
    assert is_path(choice)


@pytest.mark.parametrize("choice", ["", "Sid", "-x", "sid main", "sid\n", "."])
def test_what_is_neither(choice: str):
    with pytest.raises(UsageError, match="neither a suite nor a path"):
        require_choice(choice)
