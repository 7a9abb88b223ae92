"""Which scenarios a request means: names, paths, directories, patterns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path

from harness.errors import UsageError
from harness.paths import data_dir
from harness.scenario.load import SUFFIX, Concrete, Overrides, load_all, scenario_files

_WILD = re.compile(r"[*?]")


def select(words: Sequence[str], overrides: Overrides | None = None) -> list[Concrete]:
    """Every concrete scenario that ``words`` name, in their order, none of them twice.

    A word is what ``load_all`` takes (a name or a path, either with a cell of its matrix in
    brackets), a directory, or a pattern with ``*``, ``?`` or ``**``; brackets stand for themselves
    in it. A pattern without a slash is matched against the names of the scenarios that come with
    the harness; one with a slash, or that ends in ``.toml``, against paths below the working
    directory, or else below that of the harness. Raises UsageError if a word means nothing.
    """
    found: dict[tuple[Path, str], Concrete] = {}
    for word in words:
        for concrete in _meant(word, overrides):
            found.setdefault((concrete.path.resolve(), concrete.name), concrete)
    return list(found.values())


def word_for(concrete: Concrete) -> str:
    """A word that means just this scenario, from any working directory."""
    path = concrete.path.resolve()
    own = scenario_files().get(path.stem)
    if own is not None and own.resolve() == path:
        return concrete.name
    return f"{path}{concrete.name.removeprefix(path.stem)}"


def _meant(word: str, overrides: Overrides | None) -> list[Concrete]:
    if _WILD.search(word):
        found = list(_matching(word, overrides))
    elif word and word not in scenario_files() and Path(word).is_dir():
        found = _all_of(_scenarios(f"{word}/**"), overrides)
    else:
        return load_all(word, overrides)
    if not found:
        raise UsageError(f"no scenario matches '{word}'", hint="zharness scenario list shows them")
    return found


def _matching(pattern: str, overrides: Overrides | None) -> Iterator[Concrete]:
    if "/" in pattern or pattern.endswith(SUFFIX):
        paths = _scenarios(pattern) or _scenarios(f"{data_dir()}/{pattern}")
        yield from _all_of(paths, overrides)
        return
    for name in scenario_files():
        whole_file = _matches(name, pattern)
        for concrete in load_all(name, overrides):
            if whole_file or _matches(concrete.name, pattern):
                yield concrete


def _all_of(paths: Iterable[Path], overrides: Overrides | None) -> list[Concrete]:
    return [concrete for path in paths for concrete in load_all(str(path), overrides)]


def _scenarios(pattern: str) -> list[Path]:
    """The scenario files that match, in order."""
    # Path.glob takes no absolute pattern, and ** means directories only to it
    found = glob(_literal_brackets(pattern), recursive=True)  # noqa: PTH207 - see above
    paths = {path for name in found if (path := Path(name)).suffix == SUFFIX}
    return sorted(paths, key=lambda path: (path.parent, path.stem))


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, _literal_brackets(pattern))


def _literal_brackets(pattern: str) -> str:
    return pattern.replace("[", "[[]")
