/* Preloaded into a process, moves its clock: BENCH_CLOCK_FILE names a file whose first eight bytes
 * are a signed number of milliseconds, added to the time of day. The file may be rewritten while the
 * process runs. A second run is measured a day after the first one, as it happens in production; the
 * program itself has no switch for that, so that nobody can ask it to misdate evidence.
 *
 * Only clock_gettime(CLOCK_REALTIME) moves, which is what Rust's SystemTime asks. Timers use the
 * monotonic clock and are untouched. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int (*machine_clock)(clockid_t, struct timespec *);
static const volatile int64_t *offset_ms;

__attribute__((constructor)) static void begin(void) {
  machine_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  const char *name = getenv("BENCH_CLOCK_FILE");
  int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *bytes = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  if (bytes != MAP_FAILED) offset_ms = bytes;
  close(file);
}

int clock_gettime(clockid_t which, struct timespec *time) {
  if (!machine_clock) begin();
  int result = machine_clock(which, time);
  if (result == 0 && which == CLOCK_REALTIME && offset_ms) {
    int64_t ns = time->tv_nsec + (*offset_ms % 1000) * 1000000;
    time->tv_sec += *offset_ms / 1000;
    if (ns < 0) ns += 1000000000, time->tv_sec--;
    if (ns >= 1000000000) ns -= 1000000000, time->tv_sec++;
    time->tv_nsec = ns;
  }
  return result;
}
