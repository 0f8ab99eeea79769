"""help-extensions: lists the extensions there are, or shows the manual of one."""

import textwrap
from pathlib import Path

from containerdeploy import planning
from containerdeploy.document import did_you_mean, shown
from containerdeploy.errors import UsageError
from containerdeploy.extension import Finder, Listed
from containerdeploy.sidecar import Option, Sidecar, read_help, read_sidecar


def run_help_extensions(
    name: str | None, definitions: Path | None, builtin: Path = planning.BUILTIN
) -> str:
    """Return one line for every extension, or with a name the whole manual of those called so."""
    listed = list(Finder(definitions, builtin).every())
    if name is None:
        return _table(listed)
    chosen = [one for one in listed if name in _names(one)]
    if not chosen:
        known = {word for one in listed for word in _names(one)}
        hint = did_you_mean(name, known) or "help-extensions without a name lists them all"
        raise UsageError(f"there is no extension {name!r}", hint=hint)
    return "\n\n".join(_manual(one) for one in chosen)


def _names(one: Listed) -> tuple[str, ...]:
    short = one.name.rpartition("/")[2]
    words = dict.fromkeys((one.name, short))
    return tuple(form for word in words for form in (word, f"{word}.{one.kind}"))


def _table(listed: list[Listed]) -> str:
    rows = [(f"{one.name}.{one.kind}", _summary(one)) for one in listed]
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"{name:{width}}  {summary}".rstrip() for name, summary in rows)


def _sidecar(one: Listed) -> Sidecar:
    sidecar, _ = read_sidecar(one.path.with_name(one.path.name + ".yaml"), shown(one.path))
    return sidecar


def _summary(one: Listed) -> str:
    """Return the sidecar's summary, else the first line of help."""
    sidecar = _sidecar(one)
    text = sidecar.summary or sidecar.help or read_help(one.path)
    return text.strip().partition("\n")[0].strip()


def _manual(one: Listed) -> str:
    sidecar = _sidecar(one)
    title = f"{one.name}.{one.kind} ({'built-in' if one.is_builtin else shown(one.path)})"
    body = (sidecar.help or read_help(one.path)).strip()
    parts = [title, _indented(sidecar.summary), _indented(body)]
    if sidecar.options:
        parts.append("Options\n" + "\n".join(_option(o) for o in sidecar.options.values()))
    if not any(parts[1:]):
        parts.append(_indented("It says nothing of itself."))
    return "\n\n".join(part for part in parts if part)


def _option(option: Option) -> str:
    facts: list[str] = [option.type]
    facts += ["required"] if option.required else []
    facts += ["secret"] if option.secret else []
    facts += [f"default {option.default!r}"] if option.default is not None else []
    told = f"\n{textwrap.indent(option.help, '        ')}" if option.help else ""
    return f"    {option.name} ({', '.join(facts)}){told}"


def _indented(text: str) -> str:
    return textwrap.indent(text, "    ") if text else ""
