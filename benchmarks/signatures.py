"""Do signatures tell causes apart? Of the runs of batches, whose dumps are wrong on purpose.

zharness run scenarios/museum/ scenarios/machine/ --output evidence
python benchmarks/signatures.py evidence
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from harness.files.json_file import read_object
from harness.report.signature import signature_of
from harness.report.verdict import Result, Verdict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("batches", nargs="+", type=Path)
    found: dict[str, list[str]] = defaultdict(list)
    right = 0
    for batch in parser.parse_args().batches:
        for path in sorted(batch.glob("*/verdict.json")):
            verdict = Verdict.from_json(read_object(path), path.parent)
            # what is wrong on purpose, and expected, has no signature in a night
            wrong = replace(verdict, result=Result.FAIL) if verdict.findings else verdict
            signature = signature_of(wrong)
            if signature is None:
                right += 1
            else:
                found[signature].append(path.parent.name)
    print("| signature | runs |")
    print("|---|---|")
    for signature, names in sorted(found.items()):
        print(f"| {signature} | {', '.join(names)} |")
    runs = sum(map(len, found.values()))
    print(f"\n{runs} wrong runs have {len(found)} signatures; {right} runs are right")


if __name__ == "__main__":
    main()
