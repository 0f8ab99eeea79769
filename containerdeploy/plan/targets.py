"""Which paths of this host a plan writes to, so that no deployment writes over another."""

from pathlib import Path


class Targets:
    """The targets so far, by deployment."""

    def __init__(self) -> None:
        self._names: dict[Path, str] = {}
        self._above: dict[Path, str] = {}

    def claim(self, path: Path, name: str) -> str | None:
        """Note a deployment's target; return a complaint where it is in the way of another's."""
        held = [other for other in (path, *path.parents) if other in self._names]
        below = self._above.get(path)
        complaint = None
        if held or below:
            other = self._names[held[0]] if held else below
            relation = "is" if path in held else "lies inside of" if held else "holds"
            complaint = f"the location of {name!r}, {path}, {relation} that of {other!r}"
        self._names.setdefault(path, name)
        self._above |= {parent: name for parent in path.parents if parent not in self._above}
        return complaint
