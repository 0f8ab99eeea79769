"""What bases are called in the store."""

from containerdeploy.agent.identity import COUNT
from containerdeploy.agent.store import base_name


def test_a_tree_whose_owners_were_lost_is_kept_apart_from_the_whole_one() -> None:
    names = {base_name("d1", ids) for ids in (1, 2, COUNT, COUNT + 1)}
    assert names == {"d1", "d1-1-ids", "d1-2-ids"}
