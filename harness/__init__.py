"""A QEMU-based end-to-end test harness for zfcpdump, the s390 stand-alone SCSI dump tool."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("zfcpdump-harness")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
