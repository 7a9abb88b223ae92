"""The options that override fields of a scenario."""

from __future__ import annotations

# the schema's section and field -> the option that overrides it
OVERRIDES = {
    ("crashed", "memory"): "--memory",
    ("crashed", "smp"): "--smp",
    ("crashed", "kernel"): "--kernel",
    ("crashed", "vmlinux"): "--vmlinux",
    ("dump", "hsa_size"): "--hsa-size",
    ("dump", "layout"): "--disk-layout",
    ("dump", "format"): "--dump-format",
    ("dump", "disk_size"): "--disk-size",
    ("dump", "kernel"): "--dump-kernel",
    ("dump", "source"): "--dump-source",
    ("dump", "patches"): "--dump-patch",
    ("dump", "config"): "--dump-config",
    ("dump", "parmline"): "--dump-parmline",
}
