"""All examples of the documentation, also those with a full system."""

from __future__ import annotations

import pytest

from tests.support.command_line.plugin_session import EXAMPLES, passing, project, session

__all__ = ["project", "session"]  # fixtures

pytestmark = pytest.mark.e2e

WITH_FULL_SYSTEM = "test_a_file_is_in_the_page_cache"


@pytest.mark.usefixtures("debian")
def test_the_examples_in_the_documentation(session, project):
    assert passing(session, project) == sorted([*EXAMPLES, WITH_FULL_SYSTEM])
