"""Changes to a YAML text leave all of it as it was but what was asked for."""

import pytest

from containerdeploy.document import Edits, MappingNode, Place, Scalar, parse, plain
from containerdeploy.errors import DefinitionError


def node(text: str) -> MappingNode:
    found, problems = parse(text.encode(), "f")
    assert isinstance(found, MappingNode), problems
    return found


def replaced(text: str, key: str, value: str) -> str:
    edits = Edits(text)
    edits.replace(node(text).entries[key].value.at, value)
    return edits.text()


def inserted(text: str, before: str) -> str:
    edits = Edits(text)
    edits.insert(node(text).entries[before].key.at, "new", "1")
    return edits.text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("k: x.morph # why\n", "k: x.yaml # why\n"),
        ("k: 'x.morph'", "k: 'x.yaml'"),
        ('{k: &a "x.morph", l: *a}', '{k: &a "x.yaml", l: *a}'),
        ("é: ü😀\nk: x.morph\n", "é: ü😀\nk: x.yaml\n"),
        ('a: "b\u2028c"\nk: x.morph\n', 'a: "b\u2028c"\nk: x.yaml\n'),
        ("k: &a x\\\n", None),
        ('k: "x\\x2emorph"\n', "k: x.yaml\n"),
        ("k: &a >-\n  x.morph\nl: 1\n", "k: &a >-\n  x.yaml\nl: 1\n"),
        ("k: morph\r\nl: 1\r\n", "k: x.yaml\r\nl: 1\r\n"),
    ],
)
def test_a_scalar_gets_another_value_and_keeps_its_anchor_and_quotes(text, expected):
    changed = replaced(text, "k", "x.yaml")
    value = node(changed).entries["k"].value
    assert isinstance(value, Scalar)
    assert value.text == "x.yaml"
    if expected is not None:
        assert changed == expected


def test_a_value_that_needs_quotes_gets_them():
    assert replaced("k: 'x'\n", "k", "it's: 1") == 'k: "it\'s: 1"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nk: 2\n", "a: 1\nnew: 1\nk: 2\n"),
        ("a: 1\n\n# of k\n# more\nk: 2", "a: 1\n\nnew: 1\n# of k\n# more\nk: 2"),
        ("a: |\n  x\n  # text\nk: 2\n", "a: |\n  x\n  # text\nnew: 1\nk: 2\n"),
        ('a: "x\n# text"\nk: 2\n', 'a: "x\n# text"\nnew: 1\nk: 2\n'),
        ("{a: 1, k: 2}", "{a: 1, new: 1, k: 2}"),
        ("  a: 1\n  k: 2\n", "  a: 1\n  new: 1\n  k: 2\n"),
        ("a: 1\r\nk: 2\r\n", "a: 1\r\nnew: 1\r\nk: 2\r\n"),
        ("--- # here\nk: |+\n  x\n\n", "--- # here\nnew: 1\nk: |+\n  x\n\n"),
    ],
)
def test_a_key_is_written_before_another_and_the_comments_above_that_stay_with_it(text, expected):
    changed = inserted(text, "k")
    assert changed == expected
    assert node(changed).entries["new"].value.text == "1"


def test_a_key_that_has_no_line_of_its_own_is_told():
    with pytest.raises(DefinitionError) as caught:
        inserted("? k\n: 1\n", "k")
    assert "f:1:3: no key 'new' can be written before this one" in (caught.value.details or "")


@pytest.mark.parametrize("value", "x a/b ../a-b_c.d yes 0644 12:30 1e5 ~ a:b .5 a#b é".split())
@pytest.mark.parametrize("shape", ["k: {}\n", "{{k: {}, l: 1}}"])
def test_a_plain_text_means_itself_in_block_and_in_flow(value, shape):
    found = node(shape.format(plain(value))).entries["k"].value
    assert isinstance(found, Scalar)
    assert (found.text, found.boolean, found.is_null) == (value, None, False)


def test_places_are_those_of_the_parser():
    text = "a: [1, {b: c}]\n"
    edits = Edits(text)
    edits.replace(Place(path="f", line=1, column=12), "d")
    assert edits.text() == "a: [1, {b: d}]\n"
