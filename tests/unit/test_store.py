"""What bases are called in the store."""

from containerdeploy.agent.identity import ALL, COUNT
from containerdeploy.agent.store import base_name


def test_a_tree_of_marks_is_kept_apart_from_what_real_root_makes() -> None:
    names = {base_name("d1", ids) for ids in (1, COUNT + 1, ALL)}
    assert names == {"d1", "d1-marked-1", f"d1-marked-{COUNT + 1}"}
