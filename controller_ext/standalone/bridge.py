"""Where containers of a Docker engine reach a server of this host that listens for this host alone."""

from __future__ import annotations

import logging
import socket
from typing import Final

from controller_ext.standalone.datadir import CannotStart, listen

logger = logging.getLogger(__name__)

_EVERYWHERE: Final = ("0.0.0.0", "::")
_ENGINE_S: Final = 5


def gateway(network: str) -> str | None:
    """Return the address of this host in a network of the engine; None: it has none, or no engine answers."""
    try:
        import docker
        import requests
        from docker.errors import DockerException
    except ModuleNotFoundError:
        return None  # the invoker says so
    try:
        engine = docker.from_env(timeout=_ENGINE_S)
        try:
            found = engine.networks.get(network).attrs["IPAM"]["Config"]
        finally:
            engine.close()
    except (DockerException, requests.RequestException) as error:
        logger.warning("network not looked at", extra={"network": network, "reason": str(error)})
        return None
    return next((one["Gateway"] for one in found or () if one.get("Gateway")), None)


def reachable(host: str, port: int, network: str) -> tuple[str, socket.socket | None] | None:
    """Return an address, `HOST:PORT`, by which containers reach a server, and the socket that it takes for that.

    Args:
        host: That the server listens on.
        port: The same.
        network: Of the containers.

    Returns:
        None: there is none. No socket: the server's own is reached.
    """
    address = gateway(network)
    if address is None:
        return None
    if host in _EVERYWHERE:
        return f"{address}:{port}", None
    for wanted in (port, 0):  # somebody else may have the port on that address
        try:
            bound = listen(address, wanted)
        except CannotStart as error:
            logger.info("not listened for containers", extra={"reason": str(error)})
            continue
        return f"{address}:{bound.getsockname()[1]}", bound
    return None
