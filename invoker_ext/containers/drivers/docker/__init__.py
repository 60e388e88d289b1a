"""Containers of a Docker engine: the driver for tenants that do not trust each other, and for stock images."""
