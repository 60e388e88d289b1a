"""The peer door: how processes of one installation call each other and pull bytes from each other.

`hello.py` and `framed.py` are shared with the local bus and the balancer's socket.
"""
