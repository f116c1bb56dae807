/* Preloaded into a process, ends it or lets one of its changes of storage fail.
 *
 * STORAGE_BELOW  folder whose files count
 * STORAGE_AT     number of the change, from 1; 0 only counts
 * STORAGE_HOW    kill: SIGKILL before the change; torn: SIGKILL in the middle of it, where it writes
 *                bytes; fail: it does not happen; lost: it happens; both are told STORAGE_ERRNO
 * STORAGE_COUNT  file that is told how many changes there were, when the process ends by itself
 *
 * A change is whatever leaves another state on disk: create, write, sync, link, rename, remove. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum how { KILL, TORN, FAIL, LOST };

static const char *below;
static long at;
static enum how how;
static int number;
static atomic_long changes;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
  const char *text = getenv("STORAGE_HOW");
  below = getenv("STORAGE_BELOW");
  at = getenv("STORAGE_AT") ? atol(getenv("STORAGE_AT")) : 0;
  number = getenv("STORAGE_ERRNO") ? atoi(getenv("STORAGE_ERRNO")) : EIO;
  how = !text || !strcmp(text, "kill") ? KILL
        : !strcmp(text, "torn")        ? TORN
        : !strcmp(text, "fail")        ? FAIL
                                       : LOST;
}

__attribute__((destructor)) static void end(void) {
  const char *name = getenv("STORAGE_COUNT");
  FILE *file = name ? fopen(name, "w") : NULL;
  if (!file) return;
  fprintf(file, "%ld\n", atomic_load(&changes));
  fclose(file);
}

static int counts(const char *path) {
  return below && path && !strncmp(path, below, strlen(below));
}

static int counts_fd(int fd) {
  char link[64], path[PATH_MAX];
  if (!below || fd < 3) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return counts(path);
}

/* Whether this change is the one. Does not come back where the process is to end before it. */
static int is_it(int counted) {
  if (!counted || atomic_fetch_add(&changes, 1) + 1 != at) return 0;
  if (how == KILL) raise(SIGKILL);
  return 1;
}

/* One change: `call` in full, half of it and dead, not at all, or in full and denied. */
#define CHANGE(counted, call, half)      \
  if (!is_it(counted)) return call;      \
  if (how == TORN) {                     \
    half;                                \
    raise(SIGKILL);                      \
  }                                      \
  if (how == LOST) (void)!call;          \
  errno = number;                        \
  return -1

ssize_t write(int fd, const void *bytes, size_t size) {
  CHANGE(counts_fd(fd), REAL(write)(fd, bytes, size), (void)!REAL(write)(fd, bytes, size / 2));
}
ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset) {
  CHANGE(counts_fd(fd), REAL(pwrite64)(fd, bytes, size, offset),
         (void)!REAL(pwrite64)(fd, bytes, size / 2, offset));
}
int fsync(int fd) { CHANGE(counts_fd(fd), REAL(fsync)(fd), (void)0); }
int fdatasync(int fd) { CHANGE(counts_fd(fd), REAL(fdatasync)(fd), (void)0); }
int ftruncate64(int fd, off64_t size) {
  CHANGE(counts_fd(fd), REAL(ftruncate64)(fd, size), (void)0);
}
int link(const char *from, const char *to) { CHANGE(counts(to), REAL(link)(from, to), (void)0); }
int linkat(int a, const char *from, int b, const char *to, int flags) {
  CHANGE(counts(to), REAL(linkat)(a, from, b, to, flags), (void)0);
}
int rename(const char *from, const char *to) { CHANGE(counts(to), REAL(rename)(from, to), (void)0); }
int unlink(const char *path) { CHANGE(counts(path), REAL(unlink)(path), (void)0); }
int mkdir(const char *path, mode_t mode) { CHANGE(counts(path), REAL(mkdir)(path, mode), (void)0); }

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  CHANGE((flags & O_CREAT) && counts(path), REAL(open64)(path, flags, mode), (void)0);
}
