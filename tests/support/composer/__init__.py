"""What tests of compositions need: programs, what they mean in stock, and how they are deployed.

`trees.py` writes programs as Composer's library does and lowers them; `oracle.py` is stock's state machine over Python
callables; `programs.py` has random programs for it; `probes.py` the measured results of the real Composer.
"""
