"""Which scenarios a request means: names, paths, directories, patterns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path

from harness.errors import UsageError
from harness.host.paths import data_dir
from harness.scenario.load import (
    SUFFIX,
    Concrete,
    Overrides,
    load_all,
    scenario_files,
    split_cell,
)

_WILD = re.compile(r"[*?]")


def select(words: Sequence[str], overrides: Overrides | None = None) -> list[Concrete]:
    """Every concrete scenario that ``words`` name, in their order, none of them twice.

    A word is what ``load_all`` takes (a name or a path, either with a cell of its matrix in
    brackets), a directory, or a pattern with ``*``, ``?`` or ``**``; brackets stand for themselves
    in it. One with a slash, or that ends in ``.toml``, means paths: below the working directory,
    or, if there are none, below that of the harness. A pattern of paths means what the shell makes
    of it, but files that are no scenarios are left out; directories, with all that is below them.
    Another pattern is matched against the names of the scenarios that come with the harness, with
    the cell and without. Raises UsageError if a word means nothing.
    """
    found: dict[tuple[Path, str], Concrete] = {}
    for word in words:
        for concrete in _meant(word, overrides):
            found.setdefault((concrete.path.resolve(), concrete.name), concrete)
    return list(found.values())


def word_for(concrete: Concrete) -> str:
    """A word that means just this scenario, from any working directory."""
    return word_of(concrete.path, concrete.name)


def word_of(file: Path, name: str) -> str:
    """The same for the scenario ``name``, with the cell of its matrix, in ``file``."""
    path = file.resolve()
    own = scenario_files().get(path.stem)
    if own is not None and own.resolve() == path:
        return name
    return f"{path}{name.removeprefix(path.stem)}"


def _meant(word: str, overrides: Overrides | None) -> list[Concrete]:
    of, _ = split_cell(word)
    if of in scenario_files():
        return load_all(word, overrides)
    if "/" in of or of.endswith(SUFFIX) or (of and Path(of).is_dir()):
        found = _at(word, overrides)
    elif _WILD.search(word):
        found = list(_named(word, overrides))
    else:
        return load_all(word, overrides)
    if not found:
        raise UsageError(f"no scenario matches '{word}'", hint="zharness scenario list shows them")
    return found


def _at(path: str, overrides: Overrides | None) -> list[Concrete]:
    """What a path means: of a file, perhaps with a cell, of a directory, or a pattern."""
    for place in (path, f"{data_dir()}/{path}"):
        if Path(split_cell(place)[0]).is_file():
            return load_all(place, overrides)
        if files := _below(place):
            return [concrete for file in files for concrete in load_all(str(file), overrides)]
    if _WILD.search(path) or Path(path).is_dir():
        return []
    return load_all(path, overrides)  # which reports what is wrong with it


def _named(pattern: str, overrides: Overrides | None) -> Iterator[Concrete]:
    for name in scenario_files():
        whole_file = _matches(name, pattern)
        for concrete in load_all(name, overrides):
            if whole_file or _matches(concrete.name, pattern):
                yield concrete


def _below(pattern: str) -> list[Path]:
    """The scenario files that match, and those below directories that do, in order."""
    paths: set[Path] = set()
    named = glob(_literal_brackets(pattern), recursive=True)  # noqa: PTH207 - a pattern with a root
    for found in map(Path, named):
        paths.update(found.rglob(f"*{SUFFIX}") if found.is_dir() else [found])
    files = (path for path in paths if path.suffix == SUFFIX and path.is_file())
    return sorted(files, key=lambda path: (path.parent, path.stem))


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, _literal_brackets(pattern))


def _literal_brackets(pattern: str) -> str:
    return pattern.replace("[", "[[]")
