// What the parts of the driver share: see README.md beside this folder for what it is and what it can show.
#pragma once
#define _GNU_SOURCE
#include <cuda_runtime_api.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What is counted. The names, in this order, are in counters.c.
enum kind {
    LAUNCH, LIBRARY, COLLECTIVE,
    H2D_PAGEABLE, H2D_PINNED, D2H_PAGEABLE, D2H_PINNED, D2D, MEMSET,
    STREAM_SYNC, DEVICE_SYNC, EVENT_SYNC, COPY_SYNC,
    MALLOC, FREE, HOST_MALLOC,
    SOURCE_CHANGED,  // the host wrote into a pinned buffer whose copy to the device had not ended
    KINDS
};

// counters.c
void note(enum kind kind, const char *what, size_t bytes);  // count it, and tell who watches
void work(enum kind kind, const char *what, size_t bytes);  // the same for work of the device: it costs the host time
extern int phantom_device_count;

// memory.c
enum place { PAGEABLE, PINNED, DEVICE };
enum place place_of(const void *pointer);
void spoil(void *pointer, size_t bytes);  // 0xff: NaN as floating point, -1 as an integer
extern int phantom_poison;

// copies.c
void arrive(cudaStream_t stream, uint64_t until);  // copies to the device that work on this stream may rely on
void complete(cudaStream_t stream, uint64_t until);  // all copies of the stream: the host has waited for them
void complete_of(const void *memory, size_t bytes);  // those that read or write memory that is given back
void complete_all(void);
int pending(cudaStream_t stream, uint64_t until);
uint64_t copies_so_far(void);

// streams.c
extern int phantom_capturing;
