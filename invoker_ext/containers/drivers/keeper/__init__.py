"""The keeper: a small process between the invoker and its containers. Standard library only.

It is the parent of all process containers of one invoker and outlives it by exactly the time it needs to end them. It
forks them from a warm interpreter (the action runtime is imported once, a container is up in milliseconds), finds
everything they started when they end, and removes their folders. Why a process of its own: the one that forks must have
no threads and no loop, a scan of /proc or the removal of a big folder must not stop the relay, and an invoker killed
with -9 can clean up nothing. If the keeper itself is killed, its containers die with it; what they had started stays.

Messages are JSON, one a packet: to the keeper `{"op": "start", "id", "memory_mb", "environment", "argv"}` with three
descriptors (stdout, stderr, session or listening socket) and `{"op": "end", "id"}`; from it `{"ready": true}` and
`{"id", "gone": true[, "error"][, "signal"]}`. It ends when the invoker's end of the socket is closed.
"""
