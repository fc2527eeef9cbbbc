"""Memory of the process: what is freed is kept for the next allocation."""

import ctypes
import platform

# <malloc.h> of glibc.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEPT = 2**30  # bytes, of one block and at the heap's end


def keep_freed_memory() -> bool:
    """Have malloc keep large blocks instead of giving them back; False where it is not glibc's.

    Windows and batches free and allocate the same images again and again. Pages that were given
    back are mapped and zeroed anew, which took half of a fused window's time. For programs, not
    for a library: it changes the whole process.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # One arena: a thread's own arena maps blocks of over 64 MiB whatever the threshold.
    options = ((_MMAP_THRESHOLD, _KEPT), (_TRIM_THRESHOLD, _KEPT), (_ARENA_MAX, 1))
    return all(mallopt(option, value) for option, value in options)
