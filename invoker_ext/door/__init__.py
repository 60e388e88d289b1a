"""The peer door: how processes of one installation call each other and pull bytes from each other.

Processes of one host call at a Unix socket and show the installation's token (`hello.py`). Those of other hosts call
where a host listens for its peers (`listener.py`), over TCP, with TLS or without, and prove themselves (`greeting.py`);
the calls are the same (`server.py`). The pipe between invokers, `invoker_ext/peers`, begins in the same way.

`hello.py` and `framed.py` are shared with the local bus and the balancer's socket.
"""
