/* For LD_PRELOAD: fsync and fdatasync take `slow_ms` longer; the program that loads it may set that. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

volatile int slow_ms = 0;

static int slowly(const char *name, int descriptor) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int milliseconds = slow_ms;
    if (milliseconds) {
        struct timespec pause = {milliseconds / 1000, (milliseconds % 1000) * 1000000L};
        nanosleep(&pause, 0);
    }
    return real(descriptor);
}

int fsync(int descriptor) { return slowly("fsync", descriptor); }

int fdatasync(int descriptor) { return slowly("fdatasync", descriptor); }
