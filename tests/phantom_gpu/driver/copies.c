// Copies, by the places they join. With `phantom_defer(1)` those of pinned memory end late, as on a device:
//
// - device to host: the destination holds 0xff until the host has waited for the stream, an event after it, or the device;
// - host to device: the destination holds 0xff until work that is ordered after it (same stream, or a stream that waited
//   for an event), and the source must not change before the host has waited (else SOURCE_CHANGED is counted).
//
// Copies of pageable memory end before the call returns, as those of CUDA do.
#include "phantom.h"

static struct copy {
    cudaStream_t stream;
    uint64_t number;
    char *to, *snapshot;
    const char *from;
    size_t bytes;
    int to_device, arrived;
    struct copy *next;
} *first, **last = &first;
static uint64_t number;
static int deferring;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

uint64_t copies_so_far(void) { return number; }

static void land(struct copy *copy) {
    if (!copy->arrived && copy->bytes) memcpy(copy->to, copy->snapshot, copy->bytes);
    copy->arrived = 1;
}

void arrive(cudaStream_t stream, uint64_t until) {
    if (!first) return;
    pthread_mutex_lock(&lock);
    for (struct copy *c = first; c; c = c->next)
        if (c->to_device && c->stream == stream && c->number <= until) land(c);
    pthread_mutex_unlock(&lock);
}

static int touches(struct copy *c, const char *memory, size_t bytes) {
    return (c->to < memory + bytes && memory < c->to + c->bytes) || (c->from < memory + bytes && memory < c->from + c->bytes);
}

enum { OF_STREAM, OF_MEMORY, ALL };
static void end(int which, cudaStream_t stream, uint64_t until, const void *memory, size_t bytes) {
    if (!first) return;
    int changed = 0;
    pthread_mutex_lock(&lock);
    for (struct copy **at = &first; *at;) {
        struct copy *c = *at;
        int ends = which == ALL || (which == OF_STREAM && c->stream == stream && c->number <= until) || (which == OF_MEMORY && touches(c, memory, bytes));
        if (!ends) {
            at = &c->next;
            continue;
        }
        changed += c->to_device && memcmp(c->from, c->snapshot, c->bytes);
        land(c);
        *at = c->next;
        free(c->snapshot);
        free(c);
    }
    for (last = &first; *last;) last = &(*last)->next;
    pthread_mutex_unlock(&lock);
    while (changed--) note(SOURCE_CHANGED, "the source of a copy changed before it had ended", 0);
}
void complete(cudaStream_t stream, uint64_t until) { end(OF_STREAM, stream, until, 0, 0); }
void complete_of(const void *memory, size_t bytes) { end(OF_MEMORY, 0, 0, memory, bytes); }
void complete_all(void) { end(ALL, 0, 0, 0, 0); }

int pending(cudaStream_t stream, uint64_t until) {
    int found = 0;
    pthread_mutex_lock(&lock);
    for (struct copy *c = first; c && !found; c = c->next) found = c->stream == stream && c->number <= until;
    pthread_mutex_unlock(&lock);
    return found;
}

static void defer(void *to, const void *from, size_t bytes, cudaStream_t stream, int to_device) {
    struct copy *c = calloc(1, sizeof *c);
    *c = (struct copy){.stream = stream, .to = to, .from = from, .bytes = bytes, .to_device = to_device};
    c->snapshot = malloc(bytes);
    memcpy(c->snapshot, from, bytes);
    spoil(to, bytes);
    pthread_mutex_lock(&lock);
    c->number = ++number;
    *last = c;
    last = &c->next;
    pthread_mutex_unlock(&lock);
}

static enum kind kind_of(const void *to, const void *from) {
    enum place target = place_of(to), source = place_of(from);
    if (target == DEVICE && source != DEVICE) return source == PINNED ? H2D_PINNED : H2D_PAGEABLE;
    if (source == DEVICE && target != DEVICE) return target == PINNED ? D2H_PINNED : D2H_PAGEABLE;
    return D2D;
}

static enum kind copy(void *to, const void *from, size_t bytes, cudaStream_t stream, int may_defer) {
    static const char *names[] = {[H2D_PAGEABLE] = "h2d", [H2D_PINNED] = "h2d", [D2H_PAGEABLE] = "d2h", [D2H_PINNED] = "d2h", [D2D] = "d2d"};
    enum kind kind = kind_of(to, from);
    arrive(stream, number);
    if (deferring && may_defer && bytes && (kind == H2D_PINNED || kind == D2H_PINNED)) defer(to, from, bytes, stream, kind == H2D_PINNED);
    else if (bytes) memmove(to, from, bytes);
    work(kind, names[kind], bytes);
    return kind;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind unused, cudaStream_t stream) {
    enum kind kind = copy(to, from, bytes, stream, 1);
    int forbidden = phantom_capturing && (kind == H2D_PAGEABLE || kind == D2H_PAGEABLE);
    return forbidden ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}
cudaError_t cudaMemcpyPeerAsync(void *to, int to_device, const void *from, int from_device, size_t bytes, cudaStream_t stream) {
    copy(to, from, bytes, stream, 1);
    return cudaSuccess;
}
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind unused) {
    complete_all();
    note(COPY_SYNC, "cudaMemcpy", bytes);
    copy(to, from, bytes, 0, 0);
    return phantom_capturing ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}
cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height,
                              enum cudaMemcpyKind unused, cudaStream_t stream) {
    arrive(stream, number);
    for (size_t row = 0; row < height; row++) memmove((char *)to + row * to_pitch, (const char *)from + row * from_pitch, width);
    work(kind_of(to, from), "2d", width * height);
    return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void *pointer, int value, size_t bytes, cudaStream_t stream) {
    arrive(stream, number);
    memset(pointer, value, bytes);
    work(MEMSET, "memset", bytes);
    return cudaSuccess;
}
cudaError_t cudaMemset(void *pointer, int value, size_t bytes) { return cudaMemsetAsync(pointer, value, bytes, 0); }

void phantom_defer(int on) {
    if (!on) complete_all();
    deferring = on;
}
void phantom_arrive(uint64_t stream) { arrive((cudaStream_t)stream, number); }
