"""Which driver an invoker has, by its settings. A library that only one driver needs is imported with it."""

from __future__ import annotations

from typing import Final

from invoker_ext.containers.driver import Driver, DriverUnavailable
from invoker_ext.containers.drivers.process import ProcessDriver
from invoker_ext.containers.limits import StemCell
from invoker_ext.contract.kinds import PYTHON, family, interpreters, read as read_kinds
from invoker_ext.settings import DOCKER, Settings, read_manifest

_STEM_MB: Final = 256


def choose(settings: Settings, memory_mb: int) -> Driver:
    """Return the driver.

    Args:
        settings: Of the invoker.
        memory_mb: Of all containers together.

    Raises:
        DriverUnavailable: Its library is not installed.
    """
    if settings.driver != DOCKER:
        kinds = interpreters(read_kinds(settings.kinds)) if settings.kinds else None
        return ProcessDriver(settings.containers_dir, kinds)
    try:
        from invoker_ext.containers.drivers.docker.driver import DockerDriver, DockerSettings
    except ModuleNotFoundError as error:
        raise DriverUnavailable(
            f"The driver 'docker' needs the package '{error.name}': pip install 'openwhisk-dataflower[distributed]'."
        ) from error
    return DockerDriver(
        settings.containers_dir,
        DockerSettings(
            images=settings.images,
            network=settings.network,
            memory_mb=memory_mb,
            pause_grace_s=settings.pause_grace_s,
        ),
    )


def stem_cells(settings: Settings) -> tuple[StemCell, ...]:
    """Return what is kept started: by the manifest, else the Python that is first among the kinds."""
    manifest = read_manifest(settings.manifest) if settings.driver == DOCKER else None
    if manifest is not None:
        return tuple(
            StemCell(kind=one.kind, memory_mb=one.memory_mb, count=one.count, reactive=one.reactive)
            for one in manifest.stems
        )
    if settings.driver == DOCKER:
        kinds = settings.images
    else:
        kinds = read_kinds(settings.kinds) if settings.kinds else {f"{PYTHON}:3": ""}
    python = next((kind for kind in kinds if family(kind) == PYTHON), None)
    if python is None or not settings.stem_cells:
        return ()
    return (StemCell(kind=python, memory_mb=_STEM_MB, count=settings.stem_cells),)
