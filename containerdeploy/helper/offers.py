"""What programs an image offers: by its label, else remembered, else asked in a container, once."""

import os
import secrets
from contextlib import suppress
from importlib import resources
from pathlib import Path

from containerdeploy import programs
from containerdeploy.engine import ContainerId, ContainerSpec, Engine, ImageInfo
from containerdeploy.errors import EngineError
from containerdeploy.helper import spec
from containerdeploy.programs import Programs

ANSWER_S = 20.0
MAX_ANSWER_BYTES = 1 << 20


def offered(engine: Engine, image: ImageInfo, memory: Path, owner: str) -> Programs | None:
    """Return the programs of `image`; None where it can't tell, as a run of it soon will.

    `memory` is a directory for the answers: an image with the same id always has the same programs.
    """
    layers, _, text = image.labels.get(programs.LABEL, "").partition("\n")
    if text and layers == " ".join(image.layers):  # else it is the label of an image below this one
        return Programs(text)
    kept = memory / image.id.removeprefix("sha256:")
    with suppress(FileNotFoundError):
        return Programs(kept.read_text(encoding="utf-8"))
    answer = _ask(engine, image, owner)
    if answer is None:
        return None
    _keep(kept, answer)
    return Programs(answer)


def _ask(engine: Engine, image: ImageInfo, owner: str) -> str | None:
    """List the programs in a container of their own; None where that does not work."""
    source = resources.files("containerdeploy").joinpath("programs.py").read_text(encoding="utf-8")
    order = ContainerSpec(
        name=f"containerdeploy-programs-{secrets.token_hex(6)}",
        image=image.name,
        argv=("python3", "-I", "-S", "-c", source),
        environment={"PATH": spec.PATH, "LC_ALL": "C.UTF-8"},
        labels={spec.LABEL: "helper", spec.OWNER_LABEL: owner},
        pids=spec.PIDS,
    )
    try:
        container = engine.create(order)
        try:
            return _answer(engine, container)
        finally:
            engine.remove(container)
    except (EngineError, TimeoutError):
        return None


def _answer(engine: Engine, container: ContainerId) -> str | None:
    attached = engine.attach(container)
    try:
        engine.start(container)
        said = b""
        while len(said) <= MAX_ANSWER_BYTES and (piece := attached.read(ANSWER_S)):
            said += piece[1] if piece[0] == "stdout" else b""
    finally:
        attached.close()
    text = said.decode(errors="replace")
    return text if text.startswith("/") and text.endswith("\n") else None


def _keep(kept: Path, text: str) -> None:
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = kept.with_name(f".{kept.name}-{os.getpid()}.new")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.rename(kept)
