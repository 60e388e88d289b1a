"""The console script `dataflower`: starts processes and asks them; each subcommand is one module."""

from __future__ import annotations

from controller_ext.cli.main import main

__all__ = ["main"]
