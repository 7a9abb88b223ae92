"""The dump_* kernel parameters."""

PAGE = 4096


class Parameters:
    """Read from ``words``: of those that contradict each other, the last one counts."""

    KNOWN = (
        "dump_dir",
        "dump_part",
        "dump_mem",
        "dump_mode",
        "dump_wait",
        "dump_debug",
        "dump_format",
        "dump_compress",
        "dump_map",
    )

    def __init__(self, words):
        self.dir, self.part, self.mem, self.mode, self.debug = "/", 1, None, "auto", 2
        self.format, self.compress = None, "none"  # format: that of the source
        self.wait = 120  # seconds for an answer
        self.map = "auto"
        self.complaints = []
        for word in words.split():
            name, equals, value = word.partition("=")
            if name.startswith("dump_") and equals:
                self._set(name, value)

    def _set(self, name, value):
        if name not in self.KNOWN:
            self.complaints.append(f"unknown parameter {name} ignored")
            return
        try:
            getattr(self, "_" + name)(value)
        except ValueError:
            self.complaints.append(f"{name}={value} makes no sense, default used")

    def _dump_dir(self, value):
        self.dir = "/" + value.strip("/")

    def _dump_part(self, value):
        self.part = _positive(value)

    def _dump_mem(self, value):
        if value == "1":  # zipl -d writes it where it was given no size: this asks for nothing
            return
        size = None if value == "all" else _positive(value)
        if size is not None and size < PAGE:
            raise ValueError
        self.mem = None if size is None else size - size % PAGE
        if self.mem != size:
            self.complaints.append(f"dump_mem={value} is no whole pages, {self.mem} used")

    def _dump_mode(self, value):
        self.mode = _one_of(value, "auto", "interactive")

    def _dump_wait(self, value):
        self.wait = _positive(value)

    def _dump_debug(self, value):
        level = _positive(value)
        if level > 6:
            raise ValueError
        self.debug = level

    def _dump_format(self, value):
        self.format = _one_of(value, "elf", "s390")

    def _dump_compress(self, value):
        self.compress = _one_of(value, "none", "gzip")

    def _dump_map(self, value):
        self.map = _one_of(value, "auto", "never")


def _one_of(value, *choices):
    if value not in choices:
        raise ValueError
    return value


def _positive(text):
    value = int(text, 0)
    if value < 1:
        raise ValueError
    return value
