/* A disk that is full, over quota or failing, for the program that this is loaded into (LD_PRELOAD).
 *
 * Calls that change what is below CORMORANT_DISK (write, pwrite, writev, fsync, fdatasync, ftruncate, fallocate,
 * rename, mkdir, open for writing) are counted from the moment the disk is armed; the n-th fails with an error number of
 * one's choice, and so do all later ones if it is a disk that stays full. A failing write writes half of its bytes first
 * when it is the first to fail: what a full disk does. The program speaks to it by renaming files that cannot be:
 *
 *   rename("/disk/arm", "/disk/<n>/<errno>/<stays: 0 or 1>")
 *   rename("/disk/off", "/disk/")        the space is back
 *   rename("/disk/struck", "/disk/")     0 if a call has failed since it was armed
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long calls, fails_at, error, stays, struck;

#define REAL(name, type) \
    static __typeof__(type) real; \
    if (!real) real = (__typeof__(type))dlsym(RTLD_NEXT, name)

static int ours_path(const char *path) {
    const char *disk = getenv("CORMORANT_DISK");
    return path && disk && strncmp(path, disk, strlen(disk)) == 0;
}

static int ours(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return ours_path(path);
}

/* 0: go on. 1: fail. 2: fail, and this is the first to. */
static int fails(void) {
    int verdict = 0;
    pthread_mutex_lock(&lock);
    if (fails_at > 0) {
        calls++;
        if (calls == fails_at || (stays && calls > fails_at)) {
            verdict = struck ? 1 : 2;
            struck = 1;
        }
    }
    pthread_mutex_unlock(&lock);
    if (verdict) errno = (int)error;
    return verdict;
}

int rename(const char *from, const char *to) {
    REAL("rename", int (*)(const char *, const char *));
    if (strcmp(from, "/disk/arm") == 0) {
        pthread_mutex_lock(&lock);
        calls = struck = 0;
        int read = sscanf(to, "/disk/%ld/%ld/%ld", &fails_at, &error, &stays);
        pthread_mutex_unlock(&lock);
        errno = EINVAL;
        return read == 3 ? 0 : -1;
    }
    if (strcmp(from, "/disk/off") == 0) {
        fails_at = 0;
        return 0;
    }
    if (strcmp(from, "/disk/struck") == 0) {
        errno = ENOENT;
        return struck ? 0 : -1;
    }
    if (ours_path(to) && fails()) return -1;
    return real(from, to);
}

int mkdir(const char *path, mode_t mode) {
    REAL("mkdir", int (*)(const char *, mode_t));
    if (ours_path(path) && fails()) return -1;
    return real(path, mode);
}

static int opens(const char *path, int flags, mode_t mode, int (*real)(const char *, int, ...)) {
    int writes = (flags & O_ACCMODE) != O_RDONLY;
    if (writes && ours_path(path) && fails()) return -1;
    return real(path, flags, mode);
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(#name, int (*)(const char *, int, ...)); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        return opens(path, flags, mode, real); \
    }
OPEN(open)
OPEN(open64)

ssize_t write(int fd, const void *bytes, size_t length) {
    REAL("write", ssize_t (*)(int, const void *, size_t));
    int verdict = ours(fd) ? fails() : 0;
    if (verdict == 2 && length > 1 && stays) return real(fd, bytes, length / 2);
    return verdict ? -1 : real(fd, bytes, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL("writev", ssize_t (*)(int, const struct iovec *, int));
    return ours(fd) && fails() ? -1 : real(fd, parts, count);
}

#define PWRITE(name, offset_type) \
    ssize_t name(int fd, const void *bytes, size_t length, offset_type offset) { \
        REAL(#name, ssize_t (*)(int, const void *, size_t, offset_type)); \
        int verdict = ours(fd) ? fails() : 0; \
        if (verdict == 2 && length > 1 && stays) return real(fd, bytes, length / 2, offset); \
        return verdict ? -1 : real(fd, bytes, length, offset); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define ON_FILE(name) \
    int name(int fd) { \
        REAL(#name, int (*)(int)); \
        return ours(fd) && fails() ? -1 : real(fd); \
    }
ON_FILE(fsync)
ON_FILE(fdatasync)

#define TRUNCATE(name, offset_type) \
    int name(int fd, offset_type length) { \
        REAL(#name, int (*)(int, offset_type)); \
        return ours(fd) && fails() ? -1 : real(fd, length); \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t length, unsigned flags) {
    REAL("copy_file_range", ssize_t (*)(int, off64_t *, int, off64_t *, size_t, unsigned));
    return ours(to) && fails() ? -1 : real(from, from_at, to, to_at, length, flags);
}

/* posix_fallocate returns its error. */
#define ALLOCATE(name, offset_type) \
    int name(int fd, offset_type offset, offset_type length) { \
        REAL(#name, int (*)(int, offset_type, offset_type)); \
        return ours(fd) && fails() ? errno : real(fd, offset, length); \
    }
ALLOCATE(posix_fallocate, off_t)
ALLOCATE(posix_fallocate64, off64_t)
