"""selftest: attacks the isolation on the user's own engine, and shows what held."""

import gc

from containerdeploy import selftest
from containerdeploy.errors import EXIT_FAILED
from containerdeploy.plan import Isolation


def run_isolation(
    engine: str,
    image: str | None,
    isolation: Isolation,
    *,
    only: tuple[str, ...],
    as_json: bool,
    control: bool,
) -> tuple[str, int]:
    """Return the matrix as text, and the exit code: 1 when anything got through.

    The control is expected to let attacks through: its exit code is 0.
    """
    gc.enable()
    matrix = selftest.attack(engine, image, isolation, only=only, weakened=control)
    text = selftest.to_json_text(matrix) if as_json else selftest.to_text(matrix)
    failed = not control and matrix.count("got through") > 0
    return text, EXIT_FAILED if failed else 0
