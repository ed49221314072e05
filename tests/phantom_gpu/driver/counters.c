// Counts of what the host asks of the device, and what an asynchronous call costs the host.
#include "phantom.h"
#include <time.h>

static const char *names[KINDS] = {
    "launch", "library", "collective",
    "h2d_pageable", "h2d_pinned", "d2h_pageable", "d2h_pinned", "d2d", "memset",
    "stream_sync", "device_sync", "event_sync", "copy_sync",
    "malloc", "free", "host_malloc",
    "source_changed",
};
static unsigned long counts[KINDS];
static long launch_ns;  // what a launch takes the host's time on a real machine
static void (*watcher)(int kind, const char *what, size_t bytes);
static unsigned long watched;  // a bit for each kind
int phantom_device_count = 1;

static void from_environment(void) {
    const char *devices = getenv("PHANTOM_DEVICES"), *ns = getenv("PHANTOM_LAUNCH_NS"), *poison = getenv("PHANTOM_POISON");
    if (devices) phantom_device_count = atoi(devices);
    if (ns) launch_ns = atol(ns);
    if (poison) phantom_poison = atoi(poison);
}
__attribute__((constructor)) static void begin(void) { from_environment(); }

void note(enum kind kind, const char *what, size_t bytes) {
    __sync_fetch_and_add(&counts[kind], 1);
    if (watched >> kind & 1) watcher(kind, what ? what : "", bytes);
}

static long long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

void work(enum kind kind, const char *what, size_t bytes) {
    note(kind, what, bytes);
    if (!launch_ns) return;
    long long end = now() + launch_ns;
    while (now() < end) {}
}

// For Python (phantom.py).
void phantom_watch(void (*function)(int, const char *, size_t), unsigned long which) {
    watched = 0;
    watcher = function;
    watched = which;
}
void phantom_launch_ns(long ns) { launch_ns = ns; }
void phantom_read_environment(void) { from_environment(); }  // after a fork
void phantom_forgive(void) { counts[SOURCE_CHANGED] = 0; }
int phantom_kinds(void) { return KINDS; }
const char *phantom_name(int kind) { return names[kind]; }
unsigned long phantom_count(int kind) { return counts[kind]; }
