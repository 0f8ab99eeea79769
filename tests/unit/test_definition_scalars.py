"""What a value in a definition is as text, for an extension."""

import json

import pytest
from definitions_world import Definitions
from hypothesis import given
from hypothesis import strategies as st

from containerdeploy.document import MappingNode, as_text, parse


@pytest.fixture
def definitions(tmp_path):
    return Definitions(tmp_path)


def text_of(yaml_text):
    node, problems = parse(f"KEY: {yaml_text}".encode(), "f.yaml")
    assert problems == ()
    return as_text(node.entries["KEY"].value)


@pytest.mark.parametrize(
    "written",
    ["12:30", "0644", "112233445566", "1.10", "2015-03-01", "1e3", "0x1F", "1_000", ".5", "+1"],
)
def test_numbers_and_dates_are_what_the_author_wrote(written):
    assert text_of(written) == written


@pytest.mark.parametrize("written", ["yes", "Yes", "true", "TRUE", "on", "On"])
def test_a_word_for_yes_is_true(written):
    assert text_of(written) == "True"


@pytest.mark.parametrize("written", ["no", "NO", "false", "False", "off"])
def test_a_word_for_no_is_false(written):
    assert text_of(written) == "False"


@pytest.mark.parametrize("written", ["'yes'", '"yes"', "!!str yes"])
def test_a_quoted_boolean_stays_a_word(written):
    assert text_of(written) == "yes"


@pytest.mark.parametrize("written", ["", "~", "null", "Null"])
def test_null_is_none(written):
    assert text_of(written) == "None"


def test_an_empty_string_is_set_and_empty():
    assert text_of("''") == ""


@pytest.mark.parametrize("value", ["$HOME", "%s %(x)s", "a=b=c", "it's", "`id`", "{{ x }}", "a\\n"])
def test_nothing_in_a_value_is_expanded(value):
    assert text_of(json.dumps(value)) == value


def test_a_block_keeps_its_newlines():
    assert text_of("|\n  a\n   b\n") == "a\n b\n"


def test_a_list_is_json_text():
    assert text_of("[1, 0644, 1.10, yes, ~, 'x y']") == '[1, "0644", 1.10, true, null, "x y"]'


def test_a_mapping_is_json_text():
    text = text_of("{a: [{b: no}], c: ü}")
    assert text == '{"a": [{"b": false}], "c": "ü"}'


printable = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=50)


@given(printable)
def test_any_quoted_text_arrives_verbatim(value):
    assert text_of("'" + value.replace("'", "''") + "'") in (value, value.replace("\ufeff", ""))


# One escape a character: YAML, unlike JSON, knows no pairs of surrogates.
escaped = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=20)
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | escaped,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(escaped, inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(trees, max_size=4))
def test_any_list_is_json_with_the_same_content(value):
    assert json.loads(text_of(json.dumps(value))) == value


@given(st.binary(max_size=200))
def test_any_bytes_give_a_node_or_a_problem_and_nothing_else(data):
    node, problems = parse(data, "f.yaml")
    assert (node is None) == bool(problems)


def test_a_merge_key_brings_what_is_not_there():
    node, _ = parse(b"a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\n", "f")
    assert as_text(node.entries["b"].value) == '{"y": 2, "x": 3}'


def test_of_several_merged_mappings_the_first_wins():
    node, _ = parse(b"a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b]}\n", "f")
    assert json.loads(as_text(node.entries["c"].value)) == {"x": 1, "y": 2}


def test_a_merge_key_may_hold_an_anchor():
    node, problems = parse(b"a:\n  <<: &m {x: 1}\nb: *m\n", "f")
    assert problems == ()
    assert as_text(node.entries["b"].value) == '{"x": 1}'


def test_a_quoted_merge_sign_is_a_key():
    node, _ = parse(b"{'<<': 1}", "f")
    assert isinstance(node, MappingNode)
    assert list(node.entries) == ["<<"]


def test_a_key_may_be_an_alias():
    node, _ = parse(b"a: &label node1\n*label : 1\n", "f")
    assert list(node.entries) == ["a", "node1"]


def test_values_reach_the_plan_unchanged(definitions):
    definitions.parameters("MAC: 112233445566\nTIME: 12:30\nCLOUD_INIT: yes\nNIC: [{a: 1}]")
    found = {one.name: one.value for one in definitions.one().parameters}
    assert found == {
        "MAC": "112233445566",
        "TIME": "12:30",
        "CLOUD_INIT": "True",
        "NIC": '[{"a": 1}]',
    }
