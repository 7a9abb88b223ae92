"""What a full system tells of the dump that it has collected itself, after its re-IPL."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(max_length=1024)]

_LINE = re.compile(r"(found|version|format|size|error) (\S.*)")


class OwnDump(BaseModel):
    """``found`` is where it found the dump, ``size`` that of its copy in bytes.

    ``version`` is its zgetdump's, ``format`` what that calls the format of the dump. ``error`` is
    why there is no whole copy, in the system's words; then there is no size.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    found: Text = ""
    version: Text = ""
    format: Text = ""
    size: Annotated[int, Field(ge=0, lt=1 << 64)] | None = None
    error: Text = ""

    @classmethod
    def parse(cls, report: str) -> Self:
        """Read what images/system/own-dump printed; raises ValueError."""
        lines = (line.rstrip() for line in report.splitlines())
        found: dict[str, object] = {
            match[1]: match[2] for line in lines if (match := _LINE.fullmatch(line))
        }
        size = str(found.pop("size", ""))
        if "error" not in found:
            if re.fullmatch("[0-9]{1,20}", size):
                found["size"] = int(size)
            else:
                found["error"] = "its report ends before its end"
        return cls.model_validate(found)
