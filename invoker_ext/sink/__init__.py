"""The data sink of a host: where data wait for the firings that read them.

Life of a datum of 16 KiB or more (smaller ones are bytes beside their head and only counted)::

    reserve   a container asks for room; the ledger grants it at once, or the request waits its turn
    grant     an allocated memfd that can neither grow nor shrink goes to the container, which writes it once
    commit    the memfd is sealed against writing; from here on it is a `Stored` with one reference
    pin       a container maps it: it must stay where it is until that container lets go
    spill     near the budget the coldest unpinned data move to an unlinked file; consumers then map the file
    release   the last reference is dropped: its descriptor is closed and its bytes are free for the next in line
    expire    a run lets go of its data when it ends; what is there all the same, is freed after the orphan TTL

`State` in `terms.py` names these stages and `TRANSITIONS` beside it is the whole truth about their order.

Who does what:
    ledger.py    pure: budget, fairness, who waits, what spills. Answers each call with commands.
    orphans.py   pure: whose data have been without a run for too long.
    sweeper.py   frees those, on a timer.
    segments.py  the memfd system calls.
    spares.py    allocated segments kept ready, so that allocation is off the path of a datum.
    spill.py     moving bytes from a segment to a file.
    threads.py   what happens off the loop: allocating, giving pages back, spilling.
    held.py      what the rest of the invoker holds: `Inline` and `Kept`. A descriptor of a datum is closed
                 in `Kept.release` or `Sink.expire`, and nowhere else; one that is not yet a datum in `Sink.give_back`.
    sink.py      the shell on the invoker's one loop.

Measured for 64 MiB (2 cores, kernel 6.18, milliseconds): allocate 16, then write 10.4; write without allocating 24;
give back 8.4; map with all pages 8.5, map alone 0.3. Huge pages by advice took 46 to allocate and wrote no
faster, so it is not used. Emit to mapped by one consumer: 2,400 MiB/s with a spare, 1,300 to 1,550 without. A segment
of 20 KB costs 30 µs from reserve to release.

Decisions:
    Spilled data are not brought back. An unlinked file can be mapped like a segment, and while memory allows the kernel
    still has its pages; bringing it back would cost a copy and budget at the very moment when there is none.
    The file has mode 0400: it is as safe from writing as the permissions of its user, not as safe as a seal.
    A datum that a firing has let go of and that is still referenced (for lineage, a later consumer) spills first.
    Data that somebody maps never spill: their memory would stay in use all the same.
"""
