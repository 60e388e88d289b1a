"""Implementations of `invoker_ext.bus`."""
