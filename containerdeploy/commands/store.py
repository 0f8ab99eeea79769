"""store: what is known of the store's bases, and whether they are what they were."""

import json
from collections.abc import Callable

from containerdeploy import deploy, images, places, wire
from containerdeploy.engine.choose import open_engine
from containerdeploy.errors import EXIT_FAILED
from containerdeploy.helper import sweep
from containerdeploy.report import text
from containerdeploy.result import to_json

STATES = {"sound": "sound", "recorded": "recorded", "damaged": "DAMAGED"}
DROPPED = "dropped: the next deploy of its source unpacks it again"
IN_USE = "in use by a run that goes on, so not dropped: verify again when that is over"


def run_verify(engine: str, image: str | None, *, as_json: bool, say: Callable[[str], None]) -> int:
    """Verify every base, saying what was found as it is; return 1 if any is damaged."""
    found: list[wire.BaseVerified] = []

    def hear(event: wire.BaseVerified) -> None:
        found.append(event)
        if not as_json:
            say("\n".join(_lines(event)))

    chosen = open_engine(engine, places.home())
    try:
        helper = images.full_name(image or images.HELPER)
        sweep.verify(chosen.engine, helper, places.store(), deploy.owner_label(None), hear)
    finally:
        chosen.engine.close()
    damaged = sum(one.state == "damaged" for one in found)
    if as_json:
        say(json.dumps({"engine": chosen.why, "bases": to_json(found)}, indent=2))
    else:
        say(f"{len(found)} base{'' if len(found) == 1 else 's'}, {damaged} damaged ({chosen.why})")
    return EXIT_FAILED if damaged else 0


def _lines(event: wire.BaseVerified) -> list[str]:
    size = f"{event.members} members, {text.size(event.bytes)}"
    lines = [f"{STATES[event.state]:<9} {text.word(event.base)}  {size}"]
    for one in event.damage:
        path = f"{text.word(one.path)}: " if one.path else ""
        lines.append(f"  {path}{text.word(one.what)}")
    if event.damaged > len(event.damage):
        lines.append(f"  and {event.damaged - len(event.damage)} more")
    if event.state == "damaged":
        lines.append(f"  {IN_USE if event.in_use else DROPPED}")
    return lines
