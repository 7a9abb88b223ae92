"""The rules for kernel configurations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli import main
from harness.errors import BuildError, ExitCode, UsageError
from harness.images.kernel import build as kernel
from harness.images.kernel import configuration
from harness.images.kernel.spec import KernelSpec, Role
from harness.images.provide import Images
from harness.images.store import Built, Store
from harness.lab.check import check, dumps
from harness.lab.difference import differences
from harness.lab.given import given
from harness.lab.rules import Rule, Severity, Target, rules, version_of
from harness.progress import NoProgress
from harness.s390x.disk_layout import DiskLayout

NEW = (6, 12)
FITTING = {f"CONFIG_{rule.option}": "y" for rule in rules() if rule.want == "y"}


def said(values: dict[str, str], target: Target = Target.QEMU, **more: object) -> list[str]:
    layout = more.get("layout", DiskLayout.PARTITION)
    assert isinstance(layout, DiskLayout)
    return [remark.rule.option for remark in check(values, target, layout, NEW)]


@pytest.mark.parametrize("target", Target)
@pytest.mark.parametrize("layout", DiskLayout)
def test_a_right_configuration_has_no_findings(target: Target, layout: DiskLayout):
    assert check(FITTING, target, layout, NEW) == []


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.option)
def test_each_rule_turns_red(rule: Rule):
    wrong = {"y": "n", "n": "y"}.get(rule.want, "512")
    values = {**FITTING, f"CONFIG_{rule.option}": wrong}
    target, layout = rule.on or Target.QEMU, rule.layouts[0]
    remarks = check(values, target, layout, NEW)
    assert rule.option in [remark.rule.option for remark in remarks]
    assert dumps(remarks) is (rule.severity is not Severity.ERROR)


def test_a_module_is_not_built_in():
    assert said({**FITTING, "CONFIG_BLK_DEV_SD": "m"}) == ["BLK_DEV_SD"]


def test_an_option_of_another_name_does_as_well():
    values = {**FITTING, "CONFIG_CRASH_DUMP": "n", "CONFIG_ZFCPDUMP": "y"}
    assert said(values) == []


def test_virtio_is_for_qemu_and_fcp_for_the_machine():
    values = {**FITTING, "CONFIG_SCSI_VIRTIO": "n", "CONFIG_ZFCP": "n"}
    assert said(values, Target.QEMU) == ["SCSI_VIRTIO"]
    assert said(values, Target.MACHINE) == ["ZFCP"]


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
        for rule in rules()
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
    assert "under QEMU: cannot dump" in out
    file.write_text(head + configuration.render(FITTING))
    assert run(monkeypatch, "config", "check", str(file), "--json") == 0
    assert json.loads(capsys.readouterr().out)["targets"]["qemu"] == {"dumps": True, "remarks": []}


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

    source = type("Source", (), {"identity": {}})()
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
