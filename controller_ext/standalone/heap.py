"""How the C library of our processes keeps memory.

Left alone, it gives each value of 1 MB back to the system when it is freed, and the system makes and clears every page
of the next one: reading and decoding 900 KB took 0.8 ms so, and 0.08 ms with the memory kept. The largest that comes
again and again is a request with records to CouchDB, of 8 MB (`stores/couchdb/activations.py:REQUEST_BYTES`).
"""

from __future__ import annotations

from typing import Final

_MIB: Final = 1024 * 1024
HEAP: Final = {
    "MALLOC_MMAP_THRESHOLD_": str(16 * _MIB),
    "MALLOC_TRIM_THRESHOLD_": str(32 * _MIB),
    "MALLOC_ARENA_MAX": "2",
}
"""Environment for GNU's C library: values up to 16 MiB come from a heap that keeps 32 MiB when they are freed.

Two heaps are enough where the interpreter's lock lets one thread at a time make values; by default there are eight a
core, each of which would keep as much.
"""
