"""Makes a Debian or Ubuntu root file system as a tar file from this machine's own package mirror.

Used for the helper image where no registry can be reached, and for the tests' real system:

    python images/rootfs.py [--variant VARIANT] [--include PACKAGE,PACKAGE] TARGET.tar
"""

import argparse
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

EPOCH = os.environ.get("SOURCE_DATE_EPOCH", "1735689600")
TIMEOUT_S = 900
UNUSED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
# What differs from one run, or one machine, to the next. All of it is one chain, so that a missing
# tree never turns into this machine's own files. /tmp stays: mmdebstrap keeps the settings there
# that hold its apt to the tree, without which it would clean this machine's package lists.
FORGET = (
    'cd "${1:?}" && rm -rf var/log/* var/cache/apt/* var/lib/apt/lists/* var/cache/ldconfig/*'
    " var/cache/debconf/*-old var/lib/dpkg/*-old && : >etc/resolv.conf && : >etc/hostname"
)


class CannotMake(Exception):
    """No root file system can be made here; the text says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is in a root file system; `variant` is one of mmdebstrap's and debootstrap's.

    `releases` are Debian's: the first is the base, from the others comes what it has not; without
    them it is made from this machine's own. `tars` are unpacked into it, then `commands` run in it.
    """

    variant: str
    packages: Sequence[str] = ()
    releases: Sequence[str] = ()
    tars: Sequence[Path] = ()
    commands: Sequence[str] = ()


def make(recipe: Recipe, target: Path) -> None:
    """Write the root file system to `target`, whole or not at all; raise CannotMake."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".making-") as directory:
        made = Path(directory) / "root.tar"
        _tool(recipe)(recipe, made)
        made.replace(target)


def codename() -> str:
    """Name this machine's release (bookworm, noble), which is what is made here."""
    try:
        return platform.freedesktop_os_release()["VERSION_CODENAME"]
    except (OSError, KeyError) as err:
        raise CannotMake("this machine is neither Debian nor Ubuntu: no package mirror") from err


def _tool(recipe: Recipe) -> Callable[[Recipe, Path], None]:
    if shutil.which("mmdebstrap"):
        return _mmdebstrap
    if recipe.releases:
        raise CannotMake("mmdebstrap is not installed: apt-get install mmdebstrap")
    if shutil.which("debootstrap") and os.geteuid() == 0:
        return _debootstrap
    raise CannotMake(
        "mmdebstrap is not installed (nor debootstrap for root): apt-get install mmdebstrap"
    )


def _mmdebstrap(recipe: Recipe, made: Path) -> None:
    base = recipe.releases[0] if recipe.releases else codename()
    sources = _sources_of(recipe.releases) if recipe.releases else _sources()
    argv = ["mmdebstrap", f"--variant={recipe.variant}", "--format=tar", "--skip=output/dev"]
    # Without usr-is-merged the essential set draws usrmerge in, and all of perl with it.
    argv += [f"--include={','.join(['usr-is-merged', *recipe.packages])}"]
    argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in UNUSED]
    argv += [f"--customize-hook=tar-in {shlex.quote(str(tar))} /" for tar in recipe.tars]
    argv += [f'--customize-hook=chroot "$1" {command}' for command in recipe.commands]
    argv += [f"--customize-hook={FORGET}", base, str(made)]
    _run([*argv, "-"] if sources else argv, given="\n".join(sources))


def _debootstrap(recipe: Recipe, made: Path) -> None:
    tree = made.with_suffix("")
    variant = "minbase" if recipe.variant == "essential" else recipe.variant
    # Its mounts go with a namespace of its own, and so are never in the way of removing the tree.
    argv = ["unshare", "--mount", "debootstrap", f"--variant={variant}"]
    argv += [f"--include={','.join(recipe.packages)}"] if recipe.packages else []
    _run([*argv, codename(), str(tree), *_first_mirror()])
    _run(["sh", "-c", f"{FORGET} && rm -rf dev/*", "sh", str(tree)])
    tar = ["tar", "--create", "--format=pax", "--sort=name", "--numeric-owner", "--xattrs"]
    tar += ["--pax-option=delete=atime,delete=ctime", f"--mtime=@{EPOCH}", "--clamp-mtime"]
    _run([*tar, f"--file={made}", f"--directory={tree}", "."])


def _first_mirror() -> list[str]:
    return [line.split()[1] for line in _sources()][:1]


def _sources_of(releases: Sequence[str]) -> list[str]:
    """Name Debian's releases on the mirrors that this machine has for its own."""
    own = _sources() if platform.freedesktop_os_release().get("ID") == "debian" else []
    if not own:
        raise CannotMake("it takes Debian's package lists: on Debian, after apt-get update")
    return [line.replace(f" {codename()}", f" {release}") for release in releases for line in own]


def _sources() -> list[str]:
    """Read this release's lines of sources.list from apt, whatever way they are configured.

    Empty before the machine's first `apt-get update`; the tools then know the public mirror.
    """
    fields = "$(ORIGIN)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    argv = ["apt-get", "indextargets", "--format", fields, "Created-By: Packages"]
    if not shutil.which("apt-get"):
        return []
    rows = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.splitlines()
    split = [row.partition("|")[::2] for row in rows]
    ours = {line for origin, line in split if origin in ("", "Debian", "Ubuntu")}
    wanted = {f"{codename()}{pocket}" for pocket in ("", "-updates", "-security")}
    return sorted(line for line in ours if line.split()[2] in wanted)


def _run(argv: Sequence[str], *, given: str = "") -> None:
    environment = {**os.environ, **_proxies(), "SOURCE_DATE_EPOCH": EPOCH, "LC_ALL": "C.UTF-8"}
    ran = subprocess.run(
        argv,
        input=given,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT_S,
        check=False,
    )
    if ran.returncode:
        tail = "\n".join(ran.stdout.splitlines()[-12:])
        raise CannotMake(f"{argv[0]} failed with exit code {ran.returncode}:\n{tail}")


def _proxies() -> Mapping[str, str]:
    """Pass apt's own proxy on: mmdebstrap's apt does not read this machine's configuration."""
    if not shutil.which("apt-config"):
        return {}
    argv = ["apt-config", "--format=%v%n", "dump", "Acquire::http::Proxy"]
    found = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
    return {"http_proxy": found} if found and "http_proxy" not in os.environ else {}


def main() -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--variant", default="minbase")
    parser.add_argument("--include", default="", help="packages, separated by commas")
    parser.add_argument("target", type=Path)
    given = parser.parse_args()
    packages = [name for name in given.include.split(",") if name]
    try:
        make(Recipe(variant=given.variant, packages=packages), given.target)
    except CannotMake as err:
        sys.stderr.write(f"cannot make {given.target}: {err}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
