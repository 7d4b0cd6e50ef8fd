// clock: the machine's clocks. Rooms whose decisions must be repeatable (sift, gate,
// expr, json) never ask here; they are handed the time.
#include "penstock/base.h"

#include <errno.h>
#include <time.h>

static int64_t read_clock_us(clockid_t which) {
    struct timespec now;
    must(clock_gettime(which, &now) == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_now_ms(void) {
    return read_clock_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_monotonic_ms(void) {
    return read_clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_monotonic_us(void) {
    return read_clock_us(CLOCK_MONOTONIC);
}

void clock_sleep_ms(int64_t ms) {
    if (ms <= 0)
        return;
    struct timespec left = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}
