"""What a scenario may say of a used dump disk, and of the operator."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from harness.scenario.model import Dump
from harness.scenario.used_disk import parse_answer


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"files": 1}, "layout partition has no file system"),
        ({"layout": "ext4", "older_dumps": 1}, "older_dumps: needs dump.files"),
        ({"layout": "ext4", "damage": ["journal"]}, "damage: needs dump.files"),
        ({"layout": "ext2", "files": 1, "damage": ["journal"]}, "ext2 has no journal"),
        ({"disk": "/d", "files": 1}, "files: the dump disk is given"),
        ({"beside": "after"}, "beside: needs dump.files"),
        ({"beside": "after", "files": 1, "layout": "ext4"}, "ext4 is a file system itself"),
        ({"beside": "before", "files": 1}, "no partition is before the first one"),
        ({"beside": "after", "files": 1, "partition": 4}, "after number 4 of a dos table"),
        ({"beside": "after", "files": 1, "partition": 15, "table": "gpt"}, "after number 15"),
        ({"beside": "after", "files": 1, "older_dumps": 1}, "no dump goes to the file system"),
        ({"console": ["yes"]}, "is not of the form 'REGEX => TEXT'"),
        ({"console": [" => yes"]}, "is not of the form"),
        ({"console": ["( => yes"]}, "is no regular expression"),
        ({"console": ["x => a\nb"]}, "cannot be typed"),
    ],
)
def test_what_makes_no_sense_is_refused(fields, why):
    with pytest.raises(ValidationError, match=why):
        Dump.model_validate(fields)


def test_an_answer_is_a_pattern_and_what_is_typed():
    assert parse_answer("Delete .* => it\\? => yes") == ("Delete .* => it\\?", "yes")
    assert parse_answer("Press Enter => ") == ("Press Enter", "")
