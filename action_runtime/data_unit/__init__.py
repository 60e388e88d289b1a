"""The data logic unit: moves a container's data on its own thread, beside the function that makes and takes them.

`connection` owns the socket, `outbox` decides what may leave when, `inbox` turns what arrives into values, `firing` is
the account of one activation, `giving_back` prepares what it returned, and `unit` ties them together: the calls of user
code on one side, the thread on the other.
"""
