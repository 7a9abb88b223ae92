"""Messages about a wrong scenario: in our own words, and the likely cause first."""

from __future__ import annotations

import json
import re

import pytest
from pydantic import ValidationError

from harness.errors import UsageError
from harness.scenario.load import load_all
from harness.scenario.model import SECTIONS, Scenario
from harness.schema_words import OTHER, typos_first, words

# as they stand in a TOML file
VALUES = (
    "''", "'x'", "'é'", "true", "-1", "0", "1", "3", "5", "1.5", "nan", "inf", "-inf", "1e400",
    "99999999999999999999999999", "[]", "[1]", "['(']", "[[]]", "['']", "{}", "{a = 1}",
    "1979-05-27", "07:32:00", "'5M'", "'4097'", "'-1'",
)  # fmt: skip
FOREIGN = re.compile(
    r"Input should|Extra inputs|Field required|Value error|valid (string|integer|number)"
    r"|dictionary|instance of|pydantic|Assertion failed|error_type"
)


def refusal(text: str, tmp_path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_all(str(path))
    assert caught.value.message.count(str(path)) == 1
    return caught.value.message.replace(f"{path}:", "")


def said_of(text: str, tmp_path) -> str | None:
    """The refusal of a file, None if it is right."""
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    try:
        load_all(str(path))
    except UsageError as error:
        return error.message
    return None


@pytest.mark.parametrize(
    ("section", "field"),
    [(name, field) for name, model in SECTIONS.items() for field in model.model_fields],
)
def test_every_fault_of_a_field_has_plain_words(section, field, tmp_path):
    texts = (f"description = 'x'\n[{section}]\n{field} = {value}\n" for value in VALUES)
    refused = list(filter(None, (said_of(text, tmp_path) for text in texts)))
    assert len(refused) > 3
    for said in refused:
        assert re.search(rf":3: {section}\.{field}[.:]", said), said
        assert not FOREIGN.search(said), said
        assert OTHER not in said, said


@pytest.mark.parametrize("name", ["description", *SECTIONS])
def test_every_fault_of_a_section_or_the_description_has_plain_words(name, tmp_path):
    before = "" if name == "description" else "description = 'x'\n"
    texts = (f"{before}{name} = {value}" for value in VALUES)
    refused = list(filter(None, (said_of(text, tmp_path) for text in texts)))
    assert len(refused) > 3
    for said in refused:
        assert not FOREIGN.search(said), said
        assert OTHER not in said, said


@pytest.mark.parametrize("value", ["x", None, 3, 1.5, [], ["x"], {}, {"a": 1}, {"smp": None}])
@pytest.mark.parametrize("where", ["description", "crashed", "dump", "expect", "wings"])
def test_every_type_of_fault_is_known(where, value):
    with pytest.raises(ValidationError) as caught:
        Scenario.model_validate({"description": "", "wings": 2, where: value})
    for fault in typos_first(caught.value):
        assert words(fault) != OTHER, json.dumps(fault, default=str)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("descripton = 'x'", "1: descripton: no such key; did you mean 'description'?"),
        (
            "description = 'x'\n[crashed]\nmemroy = '1G'\nsmp = 0",
            "3: crashed.memroy: no such key; did you mean 'memory'?",
        ),
        ("description = 'x'\n[crashed]\nwings = 2", "3: crashed.wings: no such key"),
        (
            "description = 'x'\nhsa_size = '64M'",
            "2: hsa_size: no such key here; it belongs to [dump]",
        ),
        (
            "description = 'x'\n[crashed]\nlayout = 'ext4'",
            "3: crashed.layout: no such key here; it belongs to [dump]",
        ),
        ("description = 'x'\n[dmup]\n", "2: dmup: no such section; did you mean 'dump'?"),
        (
            "description = 'x'\n[matrix]\nhsasize = ['64M']",
            "3: matrix.hsasize: no such field; did you mean 'hsa_size'?",
        ),
    ],
)
def test_a_misspelt_name_is_said_first_and_put_right(text, what, tmp_path):
    assert refusal(text, tmp_path).strip() == what


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("description = 'x'\nsmp 2\n", "2:5: not TOML: "),
        ("description = 'x'\n[crashed\nsmp = 2\n", "2:9: not TOML: "),
        ("description = 'x", "1:17: not TOML: "),
        ("description = 'x'\n[dump]\npatches = ['a',\n", "3:16: not TOML: "),
        ("a = 1\na = 2\n", "2:6: not TOML: "),
        ("a = " + "[" * 5000, " nested too deeply"),
    ],
)
def test_invalid_toml_is_refused_with_line_and_column(text, where, tmp_path):
    said = refusal(text, tmp_path)
    assert said.startswith(where)
    assert "(at " not in said


def test_invalid_utf_8_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"description = '\xff'\n")
    with pytest.raises(UsageError, match="byte 15 is not UTF-8"):
        load_all(str(path))


@pytest.mark.parametrize("where", ["trigger", "workload", "memory", "config"])
def test_half_a_surrogate_pair_is_refused_like_any_other_text(where):
    value = ["\ud800"] if where == "config" else "\ud800"
    with pytest.raises(ValidationError):
        Scenario.model_validate({"description": "x", "crashed": {where: value}})


@pytest.mark.parametrize("size", ["513", "0", "8192"])
def test_a_size_of_sectors_that_no_disk_has_is_refused(size, tmp_path):
    said = refusal(f"description = 'x'\n[dump]\nsector_size = {size}\n", tmp_path)
    assert said == f"3: dump.sector_size: {size} is no size of a sector: 512 or 4096"


@pytest.mark.parametrize(
    ("fields", "least"),
    [
        ("hsa_size = '16M'", "26M"),
        ("hsa_size = '25M'", "26M"),
        ("hsa_size = '27M'\nlayout = 'ext4'", "28M"),
    ],
)
def test_an_hsa_too_small_for_the_default_dump_kernel_is_refused(fields, least, tmp_path):
    said = refusal(f"description = 'x'\n[dump]\n{fields}\n", tmp_path)
    assert said.startswith("3: dump.hsa_size: the default dump kernel does not run in ")
    assert f"it needs {least}" in said


@pytest.mark.parametrize(
    "fields",
    [
        "hsa_size = '26M'",
        "hsa_size = '28M'\nlayout = 'ext4'",
        "hsa_size = '16M'\nkernel = 'bzImage'",
        "hsa_size = '16M'\nconfig = ['# CONFIG_PRINTK is not set']",
    ],
)
def test_an_hsa_that_may_do_is_not_refused(fields, tmp_path):
    assert said_of(f"description = 'x'\n[dump]\n{fields}\n", tmp_path) is None
