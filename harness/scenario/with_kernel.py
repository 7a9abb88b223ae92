"""A section of a scenario that has a kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from harness.images.kernel.spec import KernelSpec, Role
from harness.scenario.fields import ConfigurationLine
from harness.scenario.strict import Strict

KERNEL: Any = Field(
    None, description="kernel image, or its name in the store; default: one that is built"
)
SOURCE: Any = Field(
    None, description="its source: linux-source-X.Y[@SUITE], archive, or REPOSITORY@REVISION"
)
PATCHES: Any = Field((), description="changes to the source: names or paths")
CONFIG: Any = Field((), description="changes to its configuration")


class WithKernel(Strict):
    """A section with a kernel: an image given by path, or one that is built."""

    kernel: Path | None = KERNEL
    source: str | None = SOURCE
    patches: tuple[str, ...] = PATCHES
    config: tuple[ConfigurationLine, ...] = CONFIG

    @property
    def builds_kernel(self) -> bool:
        """Whether the section says how a kernel is built."""
        return bool(self.source or self.patches or self.config)

    @model_validator(mode="after")
    def _built_or_given(self) -> Self:
        built = [name for name in ("source", "patches", "config") if getattr(self, name)]
        if self.kernel is not None and built:
            raise ValueError(f"{built[0]}: the kernel is given, so none is built")
        return self

    def spec_for(self, role: Role) -> KernelSpec:
        """The kernel to build, if no image is given."""
        return KernelSpec(role, self.source, self.patches, self.config)
