"""The rules for kernel configurations."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from harness import __version__
from harness.cli import main
from harness.cli.show.lab import show_losses
from harness.dump_tools.table import S390_TOOLS, TOOLS, ZFCPDUMP
from harness.dump_tools.tool import DumpTool
from harness.errors import BuildError, ExitCode, UsageError
from harness.images.kernel import build as kernel
from harness.images.kernel import configuration
from harness.images.kernel.dependencies import Loss
from harness.images.kernel.spec import KernelSpec, Role
from harness.images.provide import Images
from harness.images.store import Built, Store
from harness.lab.check import Checked, check, chosen_tool, dumps
from harness.lab.difference import differences
from harness.lab.given import given
from harness.lab.rules import Group, Rule, Severity, Target, known_rules, needs, rules, version_of
from harness.progress import NoProgress
from harness.s390x.disk_layout import DiskLayout

NEW = (6, 12)
FITTING = {f"CONFIG_{rule.option}": "y" for rule in known_rules() if rule.want == "y"}


def said(values: dict[str, str], target: Target = Target.QEMU, **more: object) -> list[str]:
    layout = more.get("layout", DiskLayout.PARTITION)
    assert isinstance(layout, DiskLayout)
    return [remark.rule.option for remark in check(values, target, layout, NEW, ZFCPDUMP)]


@pytest.mark.parametrize("target", Target)
@pytest.mark.parametrize("layout", DiskLayout)
def test_a_right_configuration_has_no_findings(target: Target, layout: DiskLayout):
    assert check(FITTING, target, layout, NEW, ZFCPDUMP) == []


@pytest.mark.parametrize("rule", known_rules(), ids=lambda rule: f"{rule.group}-{rule.option}")
def test_each_rule_turns_red(rule: Rule):
    wrong = {"y": "n", "n": "y"}.get(rule.want, "512")
    values = {**FITTING, f"CONFIG_{rule.option}": wrong}
    target, layout = rule.on or Target.QEMU, rule.layouts[0]
    values |= {f"CONFIG_{name}": "n" for name in rule.instead}
    checked = Checked.of(values, NEW, [target], layout, ZFCPDUMP)
    assert rule in [remark.rule for remark in checked.groups[rule.group]]
    severities = {remark.rule.severity for remark in checked.groups[rule.group]}
    assert checked.holds is (Severity.ERROR not in severities)
    assert rule.severity in severities


@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_a_file_system_needs_its_driver_only_where_it_receives_the_dump(kind: str):
    option = f"{kind.upper()}_FS"
    values = {**FITTING, f"CONFIG_{option}": "n"}
    assert said(values, layout=DiskLayout(kind)) == [option]
    assert said(values, layout=DiskLayout.EXT4) == []


def test_a_module_is_not_built_in():
    assert said({**FITTING, "CONFIG_BLK_DEV_SD": "m"}) == ["BLK_DEV_SD"]


def test_an_option_of_another_name_does_as_well():
    values = {**FITTING, "CONFIG_CRASH_DUMP": "n", "CONFIG_ZFCPDUMP": "y"}
    assert said(values) == []


def test_virtio_is_for_qemu_and_fcp_for_the_machine():
    values = {**FITTING, "CONFIG_SCSI_VIRTIO": "n", "CONFIG_ZFCP": "n"}
    assert said(values, Target.QEMU) == ["SCSI_VIRTIO"]
    assert said(values, Target.MACHINE) == ["ZFCP"]


# a dump kernel as a distribution ships it: its tool is a static program with nodes of its own
SHIPPED = {
    **FITTING,
    **dict.fromkeys(("CONFIG_DEVTMPFS", "CONFIG_BINFMT_SCRIPT", "CONFIG_SCSI_VIRTIO"), "n"),
}


@pytest.mark.parametrize(
    ("tool", "lacking"),
    [
        (ZFCPDUMP, {Group.KERNEL: [], Group.TOOL: ["BINFMT_SCRIPT", "DEVTMPFS"]}),
        (S390_TOOLS, {Group.KERNEL: [], Group.TOOL: []}),
        (None, {Group.KERNEL: []}),
    ],
)
def test_what_a_tool_needs_is_no_fault_of_the_kernel(
    tool: DumpTool | None, lacking: dict[Group, list[str]]
):
    checked = Checked.of(SHIPPED, NEW, [Target.MACHINE], DiskLayout.PARTITION, tool)
    assert {
        group: [remark.rule.option for remark in remarks]
        for group, remarks in checked.groups.items()
    } == lacking
    assert checked.holds is not any(lacking.values())


def test_what_qemu_needs_is_no_fault_of_the_kernel():
    checked = Checked.of(SHIPPED, NEW, Target, DiskLayout.PARTITION, S390_TOOLS)
    assert [remark.rule.option for remark in checked.groups[Group.QEMU]] == ["SCSI_VIRTIO"]
    assert [dumps(checked.targets[each]) for each in Target] == [True, False]
    assert not checked.holds


def test_a_remark_of_both_targets_is_one_remark():
    values = {**FITTING, "CONFIG_CRASH_DUMP": "n"}
    checked = Checked.of(values, NEW, Target, DiskLayout.PARTITION, ZFCPDUMP)
    assert [remark.rule.option for remark in checked.groups[Group.KERNEL]] == ["CRASH_DUMP"]


def test_the_genuine_tool_looks_for_its_partition():
    """zfcpdump_part.c, find_part_num; ours finds it by its superblock."""
    values = {**FITTING, "CONFIG_MSDOS_PARTITION": "n", "CONFIG_EFI_PARTITION": "n"}
    assert "MSDOS_PARTITION" not in said(values, Target.MACHINE)
    found = check(values, Target.MACHINE, DiskLayout.PARTITION, NEW, S390_TOOLS)
    assert "MSDOS_PARTITION" in [remark.rule.option for remark in found if remark.rule.tool]


def test_old_kernels_also_have_zcore_mem():
    """Linux 3.12 to 4.4 have both /proc/vmcore and zcore/mem (drivers/s390/char/zcore.c)."""
    values = {**FITTING, "CONFIG_PROC_VMCORE": "n"}
    found = check(values, Target.MACHINE, DiskLayout.PARTITION, (4, 4), None)
    assert found == []
    found = check(values, Target.MACHINE, DiskLayout.PARTITION, (4, 5), None)
    assert [remark.rule.option for remark in found] == ["PROC_VMCORE"]


def test_later_kernels_may_have_it_from_a_patch():
    """images/kernel/zcore-mem.patch; the dump tool of s390-tools does not read it."""
    values = {**FITTING, "CONFIG_PROC_VMCORE": "n", "CONFIG_ZFCPDUMP": "y"}
    assert said(values) == []
    found = check(values, Target.MACHINE, DiskLayout.PARTITION, NEW, S390_TOOLS)
    assert [remark.rule.option for remark in found] == ["PROC_VMCORE"]
    assert said({**values, "CONFIG_ZFCPDUMP": "n"}) == ["PROC_VMCORE", "PROC_VMCORE"]


def test_a_tool_of_the_users_own_needs_what_its_row_says(tmp_path: Path):
    row = tmp_path / "mine.toml"
    row.write_text("name = 'mine'\nneeds = [{ option = 'JFS_FS', why = 'it writes there' }]\n")
    tool = chosen_tool(str(row))
    checked = Checked.of(FITTING, NEW, [Target.QEMU], DiskLayout.PARTITION, tool)
    assert [remark.rule.option for remark in checked.groups[Group.TOOL]] == ["JFS_FS"]
    assert not checked.holds
    assert chosen_tool("none") is None
    with pytest.raises(UsageError):
        chosen_tool(str(tmp_path / "missing.toml"))


@pytest.mark.parametrize("tool", TOOLS.values(), ids=lambda tool: tool.name)
def test_what_a_tool_needs_has_a_reason(tool: DumpTool):
    options = [rule.option for rule in needs(tool)]
    assert len(options) == len(set(options))
    assert all(rule.why and rule.group is Group.TOOL for rule in needs(tool))


def test_a_file_system_matters_for_its_layout():
    values = {**FITTING, "CONFIG_EXT4_FS": "n"}
    assert said(values) == []
    assert said(values, layout=DiskLayout.EXT4) == ["EXT4_FS"]


def test_versions_bound_a_rule():
    bounds = {"since": "4.0", "before": "5.2"}
    what = {"option": "X", "want": "y", "severity": "error", "why": "!"}
    rule = Rule.model_validate(what | bounds)
    held = [
        version
        for version in [(3, 9), (4, 0), (5, 1), (5, 2), None]
        if rule.holds_for(Target.QEMU, DiskLayout.EXT4, version)
    ]
    assert held == [(4, 0), (5, 1)]


def test_no_two_rules_are_of_one_option():
    options = [rule.option for rule in rules()]
    assert len(options) == len(set(options))


@pytest.mark.parametrize(
    ("release", "version"), [("6.12.63-x", (6, 12)), ("5.10", (5, 10)), ("unknown", None)]
)
def test_versions_are_read(release: str, version: tuple[int, int] | None):
    assert version_of(release) == version


def test_differences_that_matter_are_explained():
    other = {**FITTING, "CONFIG_CRASH_DUMP": "n", "CONFIG_FANCY": "y"}
    explained, others = differences(FITTING, other)
    assert [(each.option, each.first, each.second) for each in explained] == [
        ("CONFIG_CRASH_DUMP", "y", "n")
    ]
    assert others == ["CONFIG_FANCY"]


def test_the_harness_own_fragments_break_no_rule_of_theirs():
    text = "".join(path.read_text() for path in KernelSpec(Role.DUMP).fragments)
    values = configuration.parse(text)
    broken = [
        rule.option
        for rule in known_rules()
        if f"CONFIG_{rule.option}" in values and not rule.satisfied_by(values)
    ]
    assert broken == []


HEADER = "# Linux/{} 6.12.1 Kernel Configuration\n"


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(Store(tmp_path / "store", NoProgress()), NoProgress())


def test_a_file_is_read(images: Images, tmp_path: Path):
    file = tmp_path / ".config"
    file.write_text(HEADER.format("s390") + "CONFIG_X=y\n# CONFIG_Y is not set\n")
    found = given(images, str(file))
    assert (found.values, found.version) == ({"CONFIG_X": "y", "CONFIG_Y": "n"}, (6, 12))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (HEADER.format("x86") + "CONFIG_X=y\n", "of x86, not of s390"),
        ("", "sets no option"),
        ("hello\n", "'hello' is no line of a kernel configuration"),
        ("\0\0", "not an s390 kernel image"),
    ],
)
def test_other_files_are_not_a_configuration(images: Images, tmp_path: Path, text: str, what: str):
    file = tmp_path / ".config"
    file.write_text(text)
    with pytest.raises(UsageError) as refused:
        given(images, str(file))
    assert what in refused.value.message


def test_the_command_says_what_is_wrong_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / ".config"
    head = HEADER.format("s390")
    file.write_text(head + configuration.render({**FITTING, "CONFIG_CRASH_DUMP": "n"}))
    assert run(monkeypatch, "config", "check", str(file)) == 1
    out = capsys.readouterr().out
    assert "error: CONFIG_CRASH_DUMP is not set, must be built in: " in out
    assert "the dump kernel: cannot dump\n" in out
    assert "the dump tool zfcpdump: can run on this kernel\n" in out
    assert "QEMU: the kernel has the drivers for its devices\n" in out
    file.write_text(head + configuration.render(FITTING))
    assert run(monkeypatch, "config", "check", str(file), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["targets"]["qemu"] == {"dumps": True, "remarks": []}
    assert document["groups"]["tool"] == {"holds": True, "remarks": []}
    assert (document["tool"], document["release"]) == ("zfcpdump", "6.12.1")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 1),
        (("--target", "machine"), 1),
        (("--target", "machine", "--tool", "s390-tools"), 0),
        (("--tool", "none"), 1),
        (("--target", "machine", "--tool", "none"), 0),
        (("--tool", "nosuch"), 2),
        (("--json", "--markdown"), 2),
    ],
)
def test_the_exit_code_is_of_what_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int
):
    file = tmp_path / ".config"
    file.write_text(HEADER.format("s390") + configuration.render(SHIPPED))
    assert run(monkeypatch, "config", "check", str(file), *words) == code


def test_only_a_real_machine_lacks_its_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / ".config"
    values = {**FITTING, "CONFIG_ZFCP": "n"}
    file.write_text(HEADER.format("s390") + configuration.render(values))
    assert run(monkeypatch, "config", "check", str(file)) == 1
    assert "the dump kernel: cannot dump on a real machine\n" in capsys.readouterr().out
    assert run(monkeypatch, "config", "check", str(file), "--target", "qemu") == 0
    assert "the dump kernel: can dump\n" in capsys.readouterr().out


def test_a_table_for_a_mail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "my|config"
    values = {**SHIPPED, "CONFIG_SWAP": "y"}
    file.write_text(HEADER.format("s390") + configuration.render(values))
    assert run(monkeypatch, "config", "check", str(file), "--markdown") == 1
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert (
        capsys.readouterr().out
        == rf"""| configuration | {tmp_path}/my\|config |
| --- | --- |
| zharness | {__version__} |
| Linux | 6.12.1 |
| SHA-256 | {digest} |
| disk layout | partition |
| the dump kernel | can dump; warning: CONFIG_SWAP is built in, should be off |
| the dump tool zfcpdump | cannot run on this kernel; error: CONFIG_BINFMT_SCRIPT is not set, \
must be built in; warning: CONFIG_DEVTMPFS is not set, should be built in |
| QEMU | the kernel lacks the drivers for its devices; error: CONFIG_SCSI_VIRTIO is not set, must \
be built in |
""".replace("\\\n", "")
    )


PARTIAL = "CONFIG_CRASH_DUMP=y\nCONFIG_NOSUCH=y\n# CONFIG_FANCY is not set\n"
LOSSES = (
    Loss("CONFIG_FANCY", "n", "y", "CONFIG_S390 selects it"),
    Loss("CONFIG_CRASH_DUMP", "y", "n", "it depends on CONFIG_KEXEC_CORE, which is not set"),
    Loss("CONFIG_NOSUCH", "y", "n", "this source does not define it", undefined=True),
)


@pytest.fixture
def completed(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """A source that keeps nothing of ``PARTIAL``; the names under which it was asked for."""
    asked: list[str | None] = []

    def complete(
        store: Store, source: str | None, partial: str, progress: object
    ) -> kernel.Completed:
        asked.append(source)
        return kernel.Completed(HEADER.format("s390") + "CONFIG_FANCY=y\n", LOSSES)

    monkeypatch.setattr("harness.lab.given.complete_configuration", complete)
    return asked


def test_what_a_source_does_not_keep_is_told_with_the_reason(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    completed: list[str | None],
):
    file = tmp_path / "my_defconfig"
    file.write_text(PARTIAL)
    assert run(monkeypatch, "config", "check", str(file), "--tool", "none") == 1
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "'CONFIG_CRASH_DUMP=y' does not hold: it depends on CONFIG_KEXEC_CORE, which is not set",
        "'# CONFIG_FANCY is not set' does not hold: CONFIG_S390 selects it",
        "the source does not define 1 option: CONFIG_NOSUCH",
    ]
    run(monkeypatch, "config", "check", str(file), "--json")
    losses = json.loads(capsys.readouterr().out)["losses"]
    assert [loss["option"] for loss in losses] == [loss.option for loss in LOSSES]
    run(monkeypatch, "config", "check", str(file), "--markdown")
    row = "| # CONFIG_FANCY is not set | does not hold: CONFIG_S390 selects it |"
    assert row in capsys.readouterr().out.splitlines()


def test_a_complete_configuration_is_only_completed_with_a_source_that_is_named(
    images: Images, tmp_path: Path, completed: list[str | None]
):
    file = tmp_path / ".config"
    file.write_text(HEADER.format("s390") + PARTIAL)
    assert given(images, str(file)).losses == ()
    assert completed == []
    found = given(images, str(file), "linux-source-6.12")
    assert (found.losses, completed) == (LOSSES, ["linux-source-6.12"])
    assert found.values == {"CONFIG_FANCY": "y"}


def test_many_lost_lines_are_counted(capsys: pytest.CaptureFixture[str]):
    reasons = [Loss(f"CONFIG_A{number}", "y", "n", "!") for number in range(22)]
    unknown = [Loss(f"CONFIG_B{number}", "y", "n", "!", undefined=True) for number in range(22)]
    show_losses([*reasons, *unknown])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 22
    assert lines[-2] == "2 more lines do not hold; --json has them"
    assert lines[-1].startswith("the source does not define 22 options: CONFIG_B0, CONFIG_B1, ")
    assert lines[-1].endswith("CONFIG_B19, ...")


def test_measuring_needs_a_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / ".config"
    file.write_text(HEADER.format("s390") + "CONFIG_X=y\n")
    assert run(monkeypatch, "config", "check", str(file), "--measure") == 2
    assert "is not a kernel, and --measure needs one to dump with" in capsys.readouterr().err


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["zharness", *words])
    with pytest.raises(SystemExit) as exit_:
        main()
    return int(exit_.value.code or 0)


def test_a_name_that_fits_no_kernel_or_several(tmp_path: Path):
    images = Images(Store(tmp_path, NoProgress()), NoProgress())
    with pytest.raises(UsageError, match="no kernel 'kernel-dump' in the store"):
        images.given_kernel(Path("kernel-dump"))
    names = [
        images.store.get("kernel-dump", {"number": number}, lambda directory, log: {}).name
        for number in range(2)
    ]
    with pytest.raises(UsageError, match="'kernel-dump' matches several") as refused:
        images.given_kernel(Path("kernel-dump"))
    assert all(name in refused.value.message for name in names)


def test_an_invalid_size_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr("sys.argv", ["zharness", "kernel", "compare", "a", "b", "--hsa-size", "x"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == ExitCode.USAGE
    assert "'x'" in capsys.readouterr().err


def test_patches_of_one_name_are_two_patches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """And one that is not UTF-8 is one, too."""
    asked: list[object] = []

    def get(self: Store, kind: str, inputs: dict[str, object], build: object) -> Built:
        asked.append(inputs["patches"])
        raise BuildError("not today")

    source = type("Source", (), {"identity": {}, "commit": None})()
    monkeypatch.setattr(kernel, "kernel_source", lambda *arguments: source)
    monkeypatch.setattr(Store, "get", get)
    paths = [tmp_path / name / "fix.patch" for name in "ab"]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(path.parent.name.encode() + b"\xe4")
    for order in (paths, paths[::-1]):
        spec = KernelSpec(Role.DUMP, patches=tuple(map(str, order)))
        with pytest.raises(BuildError):
            kernel.built_kernel(Store(tmp_path / "store", NoProgress()), spec, NoProgress())
    assert asked[0] == [["fix.patch", "a\\xe4"], ["fix.patch", "b\\xe4"]]
    assert asked[1] == asked[0][::-1]
