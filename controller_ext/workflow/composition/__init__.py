"""Compositions of Composer: found in deployed actions, read, and lowered to a graph. Pure.

`recovery` finds the program in the code of an action, `lowering` makes a region of it, `compile` a graph. What cannot
be lowered runs as the conductor that it is; `NotLowered` says why.
"""
