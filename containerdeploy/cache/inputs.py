"""All that one step depends on beside the tree below it, as names and texts.

extension            digest of its bytes (a built-in's: with those of the modules they share)
interpreter          the words that it is run with
image                id of the helper's image; on `local` the identity of the host's tools
product              digest of the agent's own code, which makes the layer
parameter NAME       the value, one that is long as its digest
secret NAME          a keyed digest of the value
setting NAME         what else is in its environment: UPGRADE, PYTHONPATH
file PATH            mode and digest of a file of the definitions that it sees; a link's target
files                the digest of all of those, where there are too many to name
metadata             digest of the text of deployment.meta, where it sees that
policy NAME          what of the network it may use, what of the tree it may write
limit NAME           a limit that somebody set and that it can notice
"""

from collections.abc import Mapping

from containerdeploy.cache import digests

Inputs = Mapping[str, str]

_FIRST = ("extension", "parameter", "secret", "file", "files", "policy", "limit", "setting")
_WORDS = {
    "image": "helper image changed",
    "product": "containerdeploy changed",
    "metadata": "deployment.meta changed",
    "files": "the definitions changed",
    "interpreter": "its interpreter changed",
}
_LONGEST = 60


def recipe(inputs: Inputs) -> str:
    """Return the digest that stands for a step in the ids of its layer and of all above."""
    return digests.of(sorted(inputs.items()))


def difference(old: Inputs, new: Inputs, extension: str) -> str:
    """Return in words the first input that differs (`HOSTNAME: web-1 → web-2`), else nothing.

    `extension` is what the step's extension is called.
    """
    names = sorted({*old, *new}, key=_order)
    name = next((name for name in names if old.get(name) != new.get(name)), None)
    if name is None:
        return ""
    kind, _, what = name.partition(" ")
    if kind == "extension":
        return f"{extension} changed"
    if kind in _WORDS:
        return _WORDS[kind]
    if kind == "secret":
        return f"{what} {_verb(old, new, name)}"
    if kind == "file":
        return f"{_shown(what)} {_verb(old, new, name)}"
    before, now = (_shown(one[name]) if name in one else "not set" for one in (old, new))
    label = _shown(what) if kind in ("parameter", "setting") else f"{kind} {what}"
    return f"{label}: {before} → {now}"


def _order(name: str) -> tuple[int, str]:
    kind = name.partition(" ")[0]
    return (_FIRST.index(kind) if kind in _FIRST else len(_FIRST), name)


def _verb(old: Inputs, new: Inputs, name: str) -> str:
    if name not in old:
        return "added"
    return "changed" if name in new else "removed"


def _shown(text: str) -> str:
    """Return a text in one line of a bounded length."""
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return text if text.isprintable() and text else ascii(text)
