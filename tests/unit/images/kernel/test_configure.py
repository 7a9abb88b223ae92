"""The role's lines and the user's become one configuration, in a small tree with a choice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.errors import BuildError
from harness.images.command import Tools
from harness.images.kernel import configuration
from harness.images.kernel.make import Configured, Make

KCONFIG = """\
config BEFORE
	bool "Before"
	help
		Nobody has a choice
		choice of words is free
choice
	prompt "Processor type"
	default MARCH_Z900

config MARCH_Z900
	bool "IBM zSeries model z800 and z900"

if BEFORE
config MARCH_ZEC12
	bool "IBM zBC12 and zEC12"
endif

config MARCH_Z13
	bool "IBM z13s and z13"

endchoice

choice NAMED
config NAMED_A
	bool "A"
config NAMED_B
	bool "B"
endchoice # NAMED

config AFTER
	bool "After"
"""
MARCH = frozenset({"CONFIG_MARCH_Z900", "CONFIG_MARCH_ZEC12", "CONFIG_MARCH_Z13"})
FRAGMENT = "CONFIG_AFTER=y\nCONFIG_MARCH_ZEC12=y\n"


class Kconfig(Tools):
    """Make, which does with members of a choice what Kconfig does: the last one set wins."""

    def run(self, argv: Sequence[str], **more: object) -> None:
        config = self.log.parent / "tree/objects/.config"
        if argv[-1] == "zfcpdump_defconfig":
            config.write_text("CONFIG_MARCH_Z13=y\n")
        elif any("ZHARNESS_FACTS" in word for word in argv):
            raise BuildError("a Kconfig that our program does not fit")
        else:
            values = configuration.parse(config.read_text())
            chosen = [
                line.split("=")[0]
                for line in config.read_text().splitlines()
                if line.endswith("=y") and line.split("=")[0] in MARCH
            ]
            values |= {option: "y" if option == chosen[-1] else "n" for option in MARCH}
            config.write_text(configuration.render(values))


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setattr("harness.images.kernel.make.require_tools", lambda tools: None)
    program = tmp_path / "tree/scripts/kconfig/conf.c"
    program.parent.mkdir(parents=True)
    program.touch()
    (tmp_path / "tree/Kconfig").write_text(KCONFIG)
    return Make(tmp_path / "tree", Kconfig(tmp_path / "log", "the dump kernel"))


def configured(make: Make, changes: str) -> tuple[Configured, dict[str, str]]:
    told = make.configure("zfcpdump_defconfig", FRAGMENT, changes)
    return told, configuration.parse((make.objects / ".config").read_text())


def test_the_choices_of_a_tree(make: Make, tmp_path: Path):
    named = frozenset({"CONFIG_NAMED_A", "CONFIG_NAMED_B"})
    assert configuration.choices(tmp_path / "tree") == [MARCH, named]


@pytest.mark.parametrize("own", ["CONFIG_MARCH_Z900", "CONFIG_MARCH_Z13"])
def test_the_users_member_of_a_choice_replaces_that_of_the_role(
    make: Make, tmp_path: Path, own: str
):
    told, final = configured(make, f"{own}=y")
    assert [option for option in MARCH if final[option] == "y"] == [own]
    assert final["CONFIG_AFTER"] == "y"
    assert told.given_way == {"CONFIG_MARCH_ZEC12": own}
    (line,) = told.lines()
    assert line == f"CONFIG_MARCH_ZEC12 gives way to {own} of the same choice"
    assert f"# {line}\n" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("changes", ["", "CONFIG_NAMED_A=y", "# CONFIG_MARCH_Z900 is not set"])
def test_other_lines_leave_the_roles_member(make: Make, changes: str):
    told, final = configured(make, changes)
    assert final["CONFIG_MARCH_ZEC12"] == "y"
    assert told == Configured((), {})
    assert told.lines() == []


def test_the_users_own_contradiction_stops_the_build(make: Make):
    with pytest.raises(BuildError, match=r"'CONFIG_MARCH_Z900=y' does not hold"):
        configured(make, "CONFIG_MARCH_Z900=y\nCONFIG_MARCH_Z13=y")


def test_options_that_an_older_tree_lacks_are_left_out_in_one_line(make: Make, tmp_path: Path):
    """The role's member of a choice stays if the user's does not exist."""
    changes = "CONFIG_MARCH_Z16=y\nCONFIG_EXT4_USE_FOR_EXT2=y\n# CONFIG_NOT_THERE is not set"
    told, final = configured(make, changes)
    assert told.unknown == ("CONFIG_EXT4_USE_FOR_EXT2", "CONFIG_MARCH_Z16")
    assert final["CONFIG_MARCH_ZEC12"] == "y"
    assert not final.keys() & set(told.unknown)
    (line,) = told.lines()
    assert line == (
        "left out, because this source does not define it: "
        "CONFIG_EXT4_USE_FOR_EXT2, CONFIG_MARCH_Z16"
    )
    assert f"# {line}\n" in (tmp_path / "log").read_text()
