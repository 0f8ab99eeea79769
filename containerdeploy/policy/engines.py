"""Holds an engine and its images against the policy, before any container is made there.

An image is what its id says: a rule with a name is about the image that the engine has under that
name, whatever else that image is called, and about the name itself.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase

from containerdeploy.frozen import frozen
from containerdeploy.policy.model import Policy, refuse
from containerdeploy.policy.words import DIGEST, FLAVOURS

_WILD = frozenset("*?[")
_WEB = ("tcp", "http", "https")  # three words for one door


@frozen
class Place:
    """An engine that answers; `resolve` returns the id of its image of a name, None for none."""

    flavour: str
    address: str
    resolve: Callable[[str], str | None]


def refuse_place(policy: Policy, place: Place, images: Mapping[str, str]) -> None:
    """Raise PlanError where the policy refuses the engine, or any of the images.

    `images` says of every image's name who asks for it. A refused engine isn't asked for images.
    """
    at = f"{place.flavour} at {place.address}"
    refused = [f"the engine {at}: {why}" for why in _engine(policy, place)]
    if not refused and next(_rules(policy), None) is not None:
        ids = {name: place.resolve(name) for name in dict.fromkeys((*images, *_names(policy)))}
        refused = [
            f"{origin}: the image {name} ({ids[name] or 'not there'}): {why}"
            for name, origin in images.items()
            for why in _image(policy, name, ids)
        ]
    refuse(refused, [file.path for file in policy.files])


def _rules(policy: Policy) -> Iterator[str]:
    """Yield the words of all rules about images, and an empty one for a list that has none."""
    for file in policy.files:
        if file.images.allow is not None:
            yield from ("", *(rule.text for rule in file.images.allow))
        yield from (rule.text for rule in file.images.deny)


def _engine(policy: Policy, place: Place) -> Iterator[str]:
    def fits(word: str) -> bool:
        if word in FLAVOURS:
            return word == place.flavour
        return _is_url(_plain(place.address), _plain(word))

    for file in policy.files:
        if reason := file.engines.against(fits):
            yield reason


def _image(policy: Policy, name: str, ids: Mapping[str, str | None]) -> Iterator[str]:
    found = ids[name]

    def fits(word: str) -> bool:
        if word.startswith(DIGEST):
            return word == found
        return fnmatchcase(name, word) or (found is not None and ids.get(word) == found)

    def is_denied(word: str) -> bool:
        if _is_id(name, found) and not _WILD.isdisjoint(word):
            return True  # what it is called can't be told
        return fits(word) or fnmatchcase(_full(name), _full(word))

    for file in policy.files:
        if reason := file.images.against(fits, is_denied):
            yield reason


def _names(policy: Policy) -> Iterator[str]:
    """Yield the names in rules about images that an engine can look up."""
    for word in filter(None, _rules(policy)):
        if not word.startswith(DIGEST) and _WILD.isdisjoint(word):
            yield word


def _is_id(name: str, found: str | None) -> bool:
    """Say whether an image is asked for by its id, or the beginning of that."""
    digits = name.removeprefix(DIGEST)
    return bool(digits and found and found.removeprefix(DIGEST).startswith(digits))


def _full(name: str) -> str:
    """Return an image's name without what engines add to it by themselves."""
    for prefix in ("index.", "docker.io/", "library/", "localhost/"):
        name = name.removeprefix(prefix)
    return name.removesuffix(":latest")


def _plain(url: str) -> tuple[str, ...]:
    """Return a URL's scheme, host, and the names of its path without links."""
    scheme, _, rest = url.partition("://")
    if scheme == "unix":
        return "unix", *os.path.realpath(f"/{rest.lstrip('/')}").split("/")
    host, *path = rest.partition("?")[0].partition("#")[0].rstrip("/").split("/")
    host = host.rpartition("@")[2].lower()
    return "web" if scheme in _WEB else scheme, host, *path


def _is_url(address: tuple[str, ...], rule: tuple[str, ...]) -> bool:
    return len(address) == len(rule) and all(map(fnmatchcase, address, rule))
