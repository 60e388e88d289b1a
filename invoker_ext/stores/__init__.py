"""Implementations of `invoker_ext.store`."""
