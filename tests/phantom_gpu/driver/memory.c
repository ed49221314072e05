// The device's memory is the host's. Which addresses belong to the device, and which are pinned, is remembered.
#include "phantom.h"

static struct range { uintptr_t begin, end; enum place place; } *ranges;
static int used, room;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
int phantom_poison;

void spoil(void *pointer, size_t bytes) {
    memset(pointer, 0xff, bytes);
    __asm__ volatile("" ::: "memory");  // also where the compiler knows that it is freed next
}

static void free_later(void *pointer) {  // who reads poisoned memory is to find the poison, not another's values
    enum { KEPT = 1024 };
    static void *kept[KEPT];
    static unsigned at;
    pthread_mutex_lock(&lock);
    void *oldest = kept[at % KEPT];
    kept[at++ % KEPT] = pointer;
    pthread_mutex_unlock(&lock);
    free(oldest);
}

static void remember(void *pointer, size_t bytes, enum place place) {
    pthread_mutex_lock(&lock);
    if (used == room) ranges = realloc(ranges, (room = room ? 2 * room : 256) * sizeof *ranges);
    ranges[used++] = (struct range){(uintptr_t)pointer, (uintptr_t)pointer + (bytes ? bytes : 1), place};
    pthread_mutex_unlock(&lock);
}

static size_t forget(void *pointer) {  // returns how many bytes it had
    size_t bytes = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < used; i++)
        if (ranges[i].begin == (uintptr_t)pointer) {
            bytes = ranges[i].end - ranges[i].begin;
            ranges[i] = ranges[--used];
            break;
        }
    pthread_mutex_unlock(&lock);
    return bytes;
}

enum place place_of(const void *pointer) {
    enum place place = PAGEABLE;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < used; i++)
        if ((uintptr_t)pointer >= ranges[i].begin && (uintptr_t)pointer < ranges[i].end) {
            place = ranges[i].place;
            break;
        }
    pthread_mutex_unlock(&lock);
    return place;
}

static cudaError_t take(void **pointer, size_t bytes, enum place place) {
    size_t whole = bytes ? (bytes + 4095) & ~4095ul : 4096;
    *pointer = aligned_alloc(4096, whole);
    if (!*pointer) return cudaErrorMemoryAllocation;
    memset(*pointer, place == DEVICE && phantom_poison ? 0xff : 0, whole);
    remember(*pointer, bytes, place);
    return cudaSuccess;
}

static cudaError_t give(void *pointer) {
    if (!pointer) return cudaSuccess;
    enum place place = place_of(pointer);
    size_t bytes = forget(pointer);
    complete_of(pointer, bytes);
    if (phantom_poison && place == DEVICE) {
        spoil(pointer, bytes);
        free_later(pointer);
    } else free(pointer);
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **pointer, size_t bytes) {
    note(MALLOC, "cudaMalloc", bytes);
    return take(pointer, bytes, DEVICE);
}
cudaError_t cudaMallocAsync(void **pointer, size_t bytes, cudaStream_t stream) { return cudaMalloc(pointer, bytes); }
cudaError_t cudaFree(void *pointer) {
    if (pointer) note(FREE, "cudaFree", 0);
    return give(pointer);
}
cudaError_t cudaFreeAsync(void *pointer, cudaStream_t stream) { return cudaFree(pointer); }
cudaError_t cudaHostAlloc(void **pointer, size_t bytes, unsigned flags) {
    note(HOST_MALLOC, "cudaHostAlloc", bytes);
    return take(pointer, bytes, PINNED);
}
cudaError_t cudaFreeHost(void *pointer) { return give(pointer); }
cudaError_t cudaHostRegister(void *pointer, size_t bytes, unsigned flags) {
    remember(pointer, bytes, PINNED);
    return cudaSuccess;
}
cudaError_t cudaHostUnregister(void *pointer) {
    forget(pointer);
    return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total) {
    *total = 141ul << 30;
    *free_bytes = 140ul << 30;
    return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *out, const void *pointer) {
    static const enum cudaMemoryType types[] = {cudaMemoryTypeUnregistered, cudaMemoryTypeHost, cudaMemoryTypeDevice};
    enum place place = place_of(pointer);
    memset(out, 0, sizeof *out);
    out->type = types[place];
    out->devicePointer = place == PAGEABLE ? 0 : (void *)pointer;
    out->hostPointer = place == PINNED ? (void *)pointer : 0;
    return cudaSuccess;
}
static char symbols[1 << 16];  // variables of the device
cudaError_t cudaGetSymbolAddress(void **pointer, const void *symbol) {
    *pointer = symbols;
    return cudaSuccess;
}
