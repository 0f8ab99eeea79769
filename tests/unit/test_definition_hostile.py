"""YAML that is wrong, broken or made to hurt."""

import time

import pytest

from containerdeploy.document import parse


def problem(data):
    node, problems = parse(data, "f.yaml")
    assert node is None
    return str(problems[0])


def test_a_syntax_error_has_its_place():
    assert problem(b"a: 1\nb: c: d\n").startswith("f.yaml:2:5: is no YAML: mapping values")


def test_a_tab_is_called_a_tab():
    assert "indent with spaces, not with tabs" in problem(b"a:\n\tb: 1\n")


def test_a_file_that_is_no_utf8_is_one_clear_problem():
    assert problem(b"a: 1\nb: \xe9\n").startswith("f.yaml:2:4: the byte 0xe9 is no UTF-8")


def test_a_control_character_has_its_place():
    assert problem("ä: 1\nb: \x07".encode()).startswith("f.yaml:2:4: the character '\\x07'")


def test_an_empty_file_is_a_problem():
    assert problem(b"# nothing\n") == "f.yaml:1:1: is empty; expected a mapping"


def test_a_second_document_is_a_problem():
    assert "a second document begins here" in problem(b"--- a\n--- b\n")


def test_an_unknown_alias_is_a_problem():
    assert "no anchor '&x'" in problem(b"- *x\n")


def test_an_unknown_tag_is_a_problem():
    assert "the tag '!!python/object" in problem(b"a: !!python/object:os.system x").replace(
        "tag:yaml.org,2002:", "!!"
    )


@pytest.mark.parametrize("data", [b"&a [*a]", b"a: &a\n  b: *a\n"])
def test_a_value_inside_of_itself_is_a_problem(data):
    assert "lies inside what it stands for" in problem(data)


@pytest.mark.parametrize("data", [b"[" * 300_000, b"{a: " * 100_000, b"- " * 100_000])
def test_deep_nesting_is_a_problem_not_a_crash(data):
    assert "levels deep" in problem(data)


def test_depth_by_aliases_counts_as_depth():
    lines = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 2000))
    assert "too large once its aliases are written out" in problem(lines.encode())


def test_an_alias_bomb_is_refused_at_once():
    lines = "a0: &a0 [x,x,x]\n"
    lines += "".join(f"a{i}: &a{i} [*a{i - 1},*a{i - 1},*a{i - 1}]\n" for i in range(1, 60))
    started = time.monotonic()
    assert "too large" in problem(lines.encode())
    assert time.monotonic() - started < 5


def test_a_huge_file_is_refused():
    assert "is larger than" in problem(b"#" * (5 << 20))


def test_a_duplicate_key_says_where_the_first_is():
    node, _ = parse(b"a: 1\nb: 2\na: 3\n", "f.yaml")
    assert [str(one) for one in node.problems] == [
        "f.yaml:3:1: duplicate key 'a' (first written in line 1; remove one)"
    ]


def test_a_byte_order_mark_is_no_problem():
    node, problems = parse(b"\xef\xbb\xbfa: 1\n", "f.yaml")
    assert problems == ()
    assert list(node.entries) == ["a"]
