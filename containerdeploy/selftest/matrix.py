"""Shows findings: a row for each attack, grouped by what is attacked, and the sum."""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby

from containerdeploy import wire
from containerdeploy.frozen import as_mapping, frozen
from containerdeploy.report import text
from containerdeploy.selftest.finding import Finding

MARKS = {"contained": " ok ", "got through": "OPEN", "not tried": "skip"}
MOST_EVIDENCE = 100
CONTROL = """\
CONTROL: the attacks below were made WITHOUT the confinement that extensions get. What is open here
shows that the attack is real; it says nothing of how extensions are held."""


@frozen
class Matrix:
    """All findings, and where they were made; `hello` is what an agent said of that place.

    `weakened` says that the attacks were made on purpose where they can succeed.
    """

    engine: str
    hello: wire.Hello
    findings: Sequence[Finding]
    weakened: bool = False

    def count(self, verdict: str) -> int:
        return sum(finding.verdict == verdict for finding in self.findings)


def to_json_text(matrix: Matrix) -> str:
    """Return all of it as JSON."""
    hello = matrix.hello
    counts = {verdict: matrix.count(verdict) for verdict in MARKS}
    body = {
        "control": matrix.weakened,
        "engine": matrix.engine,
        "isolation": hello.isolation,
        "kernel": hello.kernel,
        "limits": hello.limits,
        "weaker": list(hello.weaker),
        "counts": counts,
        "findings": [as_mapping(finding) for finding in matrix.findings],
    }
    return json.dumps(body, indent=2)


def to_text(matrix: Matrix) -> str:
    """Return the matrix as lines for a reader."""
    return "\n".join([*_head(matrix), *_rows(matrix.findings), "", _sum(matrix)])


def _head(matrix: Matrix) -> Iterator[str]:
    hello = matrix.hello
    if matrix.weakened:
        yield CONTROL
    yield f"engine     {matrix.engine}"
    yield f"isolation  {hello.isolation}, limits by {hello.limits}"
    yield from (f"           weaker: {words}" for words in hello.weaker)
    yield f"kernel     {hello.kernel}"


def _rows(findings: Sequence[Finding]) -> Iterator[str]:
    def place(finding: Finding) -> tuple[str, str]:
        return finding.family, finding.group

    for (family, group), rows in groupby(sorted(findings, key=place), key=place):
        yield ""
        yield f"{family}: {group}"
        for finding in rows:
            evidence = text.word(finding.evidence)[:MOST_EVIDENCE]
            told = f"  {evidence}" if evidence else ""
            yield f"  [{MARKS[finding.verdict]}] {finding.name.replace('_', ' ')}{told}"


def _sum(matrix: Matrix) -> str:
    got = matrix.count("got through")
    if matrix.weakened:
        return f"{got} of {len(matrix.findings)} attacks succeed without the confinement"
    words = f"{len(matrix.findings)} attacks, {matrix.count('contained')} contained"
    if untried := matrix.count("not tried"):
        words += f", {untried} could not be tried"
    return f"{words}, {got} GOT THROUGH" if got else f"{words}, none got through"
