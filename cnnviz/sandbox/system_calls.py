"""The system calls that a confined process may use, by processor.

The list was made by runs under ``strace``: every small network of the tests through every
function, the inspection of the corpus and of eleven stock architectures, and trainings. Then every
file of the corpus, six stock architectures and a training of every recipe ran confined. Added are
calls that do the same in another form, which other versions of the C library and other processors
use instead (``stat`` and ``statx``, ``read`` and ``readv``): they permit nothing more.
"""

from __future__ import annotations

# For each call its number on x86_64 and on aarch64, None where it does not exist.
Numbers = dict[str, tuple[int | None, int | None]]

PROCESSORS = {"x86_64": 0, "aarch64": 1}
# The kernel's names of the processors' interfaces (AUDIT_ARCH).
ARCHITECTURES = (0xC000003E, 0xC00000B7)

ALLOWED: Numbers = {
    # Memory.
    "brk": (12, 214),
    "madvise": (28, 233),
    "mbind": (237, 235),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "munmap": (11, 215),
    # Threads, locks, and handlers of signals.
    "exit": (60, 93),
    "exit_group": (231, 94),
    "futex": (202, 98),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "gettid": (186, 178),
    "membarrier": (324, 283),
    "restart_syscall": (219, 128),
    "rseq": (334, 293),
    "rt_sigaction": (13, 134),
    "rt_sigpending": (127, 136),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "rt_sigtimedwait": (128, 137),
    "sched_get_priority_max": (146, 125),
    "sched_get_priority_min": (147, 126),
    "sched_getaffinity": (204, 123),
    "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120),
    "sched_yield": (24, 124),
    "set_robust_list": (273, 99),
    "set_tid_address": (218, 96),
    "sigaltstack": (131, 132),
    # Time.
    "clock_getres": (229, 114),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "gettimeofday": (96, 169),
    "nanosleep": (35, 101),
    "time": (201, None),
    "times": (100, 153),
    "getrusage": (98, 165),
    # Files: which ones is Landlock's part.
    "access": (21, None),
    "close": (3, 57),
    "close_range": (436, 436),
    "copy_file_range": (326, 285),
    "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24),
    "epoll_create1": (291, 20),
    "epoll_ctl": (233, 21),
    "epoll_pwait": (281, 22),
    "epoll_wait": (232, None),
    "eventfd2": (290, 19),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "fadvise64": (221, 223),
    "fallocate": (285, 47),
    "fdatasync": (75, 83),
    "flock": (73, 32),
    "fstat": (5, 80),
    "fstatfs": (138, 44),
    "fsync": (74, 82),
    "ftruncate": (77, 46),
    "getcwd": (79, 17),
    "getdents64": (217, 61),
    "lseek": (8, 62),
    "lstat": (6, None),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "newfstatat": (262, 79),
    "open": (2, None),
    "openat": (257, 56),
    "pipe": (22, None),
    "pipe2": (293, 59),
    "poll": (7, None),
    "ppoll": (271, 73),
    "pread64": (17, 67),
    "preadv": (295, 69),
    "pselect6": (270, 72),
    "pwrite64": (18, 68),
    "pwritev": (296, 70),
    "read": (0, 63),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "readv": (19, 65),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "rmdir": (84, None),
    "select": (23, None),
    "sendfile": (40, 71),
    "stat": (4, None),
    "statfs": (137, 43),
    "statx": (332, 291),
    "umask": (95, 166),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "write": (1, 64),
    "writev": (20, 66),
    # About the machine and the process.
    "getcpu": (309, 168),
    "getegid": (108, 177),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getrandom": (318, 278),
    "getrlimit": (97, 163),
    "getuid": (102, 174),
    "sysinfo": (99, 179),
    "uname": (63, 160),
}

# Allowed with some arguments only: see ``seccomp``.
CHECKED: Numbers = {
    "arch_prctl": (158, None),
    "clone": (56, 220),
    "fcntl": (72, 25),
    "ioctl": (16, 29),
    "prctl": (157, 167),
    "prlimit64": (302, 261),
    "tgkill": (234, 131),
}

# Only an attack uses them: they read other processes' memory, or change the system. They end the
# process; all other calls fail.
FATAL: Numbers = {
    "bpf": (321, 280),
    "finit_module": (313, 273),
    "init_module": (175, 105),
    "kexec_load": (246, 104),
    "mount": (165, 40),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "setns": (308, 268),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}

# From this number on all processors use the same numbers, and a library that is told that such a
# call does not exist uses an older one.
RECENT = 424

# The call that sets the filter.
SECCOMP = (317, 277)
