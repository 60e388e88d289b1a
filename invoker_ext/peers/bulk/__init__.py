"""Transfers of large data between hosts: a named thread with a loop of its own, so that they delay nothing else."""
