"""The README's threat model: every promise is linked to tests, and these are there."""

import re
from pathlib import Path

TOP = Path(__file__).parents[2]
LINK = re.compile(r"\[(test_\w+)\]\((tests/[\w/]+\.py)\)")


def section() -> str:
    found = re.search(r"\n## Threat model\n(.*?)\n## ", (TOP / "README.md").read_text(), re.S)
    assert found is not None
    return found[1]


def test_every_promise_is_linked_to_a_test() -> None:
    rows = section().partition("| promise |")[2].partition("\n\n")[0].splitlines()[2:]
    assert len(rows) > 20
    assert [row for row in rows if not LINK.search(row)] == []


def test_every_linked_test_is_there() -> None:
    links = LINK.findall(section())
    assert len(links) == section().count("](tests/")
    missing = [
        (name, path)
        for name, path in links
        if not re.search(rf"^def {name}\(", (TOP / path).read_text(), re.M)
    ]
    assert missing == []
