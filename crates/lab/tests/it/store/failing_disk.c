/* A disk that fails: preloaded before the C library, it lets writes to a store's files fail as it is told.
 *
 * FAIL_AT=N       the first write that fails, counted from 1 over the whole process (0: none)
 * FAIL_CALLS=N    how many fail in a row
 * FAIL_ERRNO=N    what the disk says
 * FAIL_COUNT=PATH where the number of writes is put when the process ends
 *
 * A write is any call that may need room or reach the disk: write, pwrite, ftruncate, fallocate, fsync, fdatasync.
 * The store's files are those whose name holds "lab.db".
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;

static long told(const char *name) {
    const char *value = getenv(name);
    return value ? atol(value) : 0;
}

static int fails(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (!strstr(path, "lab.db")) return 0;
    long call = ++calls, first = told("FAIL_AT");
    if (first == 0 || call < first || call >= first + told("FAIL_CALLS")) return 0;
    errno = (int)told("FAIL_ERRNO");
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAILING(type, name, parameters, arguments) \
    type name parameters { return fails(file) ? (type)-1 : REAL(name) arguments; }

FAILING(ssize_t, write, (int file, const void *bytes, size_t length), (file, bytes, length))
FAILING(ssize_t, pwrite, (int file, const void *bytes, size_t length, off_t at), (file, bytes, length, at))
FAILING(ssize_t, pwrite64, (int file, const void *bytes, size_t length, off64_t at), (file, bytes, length, at))
FAILING(int, ftruncate, (int file, off_t length), (file, length))
FAILING(int, ftruncate64, (int file, off64_t length), (file, length))
FAILING(int, fallocate, (int file, int mode, off_t at, off_t length), (file, mode, at, length))
FAILING(int, fsync, (int file), (file))
FAILING(int, fdatasync, (int file), (file))

__attribute__((destructor)) static void count(void) {
    const char *path = getenv("FAIL_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "%ld\n", atomic_load(&calls));
    fclose(file);
}
