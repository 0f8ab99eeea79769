"""Container engines: docker (Podman too), local, and the verbs that they share."""

from containerdeploy.engine.base import (
    Attached,
    ContainerId,
    ContainerInfo,
    ContainerSpec,
    Engine,
    EngineInfo,
    ImageInfo,
    Mount,
    VolumeInfo,
)

__all__ = [
    "Attached",
    "ContainerId",
    "ContainerInfo",
    "ContainerSpec",
    "Engine",
    "EngineInfo",
    "ImageInfo",
    "Mount",
    "VolumeInfo",
]
