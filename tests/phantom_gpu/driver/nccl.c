// NCCL between processes of one machine: each rank has a slot of shared memory, and barriers separate writing from reading.
#include "phantom.h"
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

enum { SLOT = 16 << 20, HEAD = 4096 };
typedef struct { char bytes[128]; } id_t_;
typedef struct communicator {
    int count, rank, splits;
    char name[64];
    volatile uint64_t *arrivals;  // of all ranks at all barriers so far
    char *slots;
    uint64_t barriers;
} communicator;
void phantom_library(const char *name);

static void barrier(communicator *c) {
    uint64_t all = ++c->barriers * c->count;
    __sync_fetch_and_add(c->arrivals, 1);
    for (int i = 0; *c->arrivals < all; i++) i > 1000 ? usleep(50) : sched_yield();
}
static char *slot(communicator *c, int rank) { return c->slots + (size_t)rank * SLOT; }

static communicator *meet(const char *name, int count, int rank) {
    communicator *c = calloc(1, sizeof *c);
    c->count = count;
    c->rank = rank;
    snprintf(c->name, sizeof c->name, "%s", name);
    if (count == 1) return c;
    size_t bytes = HEAD + (size_t)count * SLOT;
    int file = shm_open(name, O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, bytes)) return 0;
    void *shared = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    c->arrivals = shared;
    c->slots = (char *)shared + HEAD;
    barrier(c);
    if (rank == 0) shm_unlink(name);
    return c;
}

int ncclGetVersion(int *version) { return *version = 22800, 0; }
int ncclGetUniqueId(id_t_ *id) {
    memset(id, 0, sizeof *id);
    return getrandom(id->bytes, 16, 0) != 16;
}
int ncclCommInitRankConfig(communicator **out, int count, id_t_ id, int rank, void *config) {
    char name[64] = "/phantom-", *end = name + strlen(name);
    for (int i = 0; i < 16; i++) end += sprintf(end, "%02x", (unsigned char)id.bytes[i]);
    *out = meet(name, count, rank);
    return !*out;
}
int ncclCommInitRank(communicator **out, int count, id_t_ id, int rank) { return ncclCommInitRankConfig(out, count, id, rank, 0); }
int ncclCommInitRankScalable(communicator **out, int count, int rank, int ids, id_t_ *id, void *config) {
    return ncclCommInitRankConfig(out, count, id[0], rank, config);
}
int ncclCommSplit(communicator *c, int color, int key, communicator **out, void *config) {
    int count = c->count == 1, rank = 0;
    if (c->count > 1) {
        int *mine = (int *)slot(c, c->rank);
        mine[0] = color;
        mine[1] = key;
        barrier(c);
        for (int i = 0; i < c->count; i++) {
            int *other = (int *)slot(c, i);
            if (other[0] != color) continue;
            count++;
            rank += other[1] < key || (other[1] == key && i < c->rank);
        }
        barrier(c);
    }
    c->splits++;
    *out = 0;
    if (color < 0) return 0;
    char name[96];
    snprintf(name, sizeof name, "%.44s-%d-%d", c->name, c->splits, color);
    *out = meet(name, count, rank);
    return !*out;
}
int ncclCommCount(communicator *c, int *count) { return *count = c->count, 0; }
int ncclCommUserRank(communicator *c, int *rank) { return *rank = c->rank, 0; }
int ncclCommGetAsyncError(communicator *c, int *error) { return *error = 0, 0; }
int ncclCommDestroy(communicator *c) { return 0; }
int ncclCommAbort(communicator *c) { return 0; }
int ncclCommFinalize(communicator *c) { return 0; }
const char *ncclGetErrorString(int error) { return "an error of the phantom GPU"; }
const char *ncclGetLastError(void *c) { return ""; }

// Types and operations, by the numbers of nccl.h.
enum { I8, U8, I32, U32, I64, U64, F16, F32, F64, BF16 };
enum { SUM, PRODUCT, MAX, MIN, AVERAGE, SCALED };  // SCALED + i: the sum times factors[i]
static double factors[64];
static int factor_count;

static size_t width(int type) {
    switch (type) {
        case I32: case U32: case F32: return 4;
        case I64: case U64: case F64: return 8;
        case F16: case BF16: return 2;
        default: return 1;
    }
}
static float from_bf16(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}
static uint16_t to_bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if (value != value) return 0x7fc0;
    return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}
#define COMBINE(a, b) (operation == MAX ? (a > b ? a : b) : operation == MIN ? (a < b ? a : b) : operation == PRODUCT ? a * b : a + b)
#define REDUCE(T) for (size_t i = 0; i < n; i++) ((T *)sum)[i] = COMBINE(((T *)sum)[i], ((const T *)more)[i]); break
static void reduce(void *sum, const void *more, size_t n, int type, int operation) {
    switch (type) {
        case I8: REDUCE(int8_t);
        case U8: REDUCE(uint8_t);
        case I32: REDUCE(int32_t);
        case U32: REDUCE(uint32_t);
        case I64: REDUCE(int64_t);
        case U64: REDUCE(uint64_t);
        case F16: REDUCE(_Float16);
        case F32: REDUCE(float);
        case F64: REDUCE(double);
        case BF16:
            for (size_t i = 0; i < n; i++) {
                float a = from_bf16(((uint16_t *)sum)[i]), b = from_bf16(((const uint16_t *)more)[i]);
                ((uint16_t *)sum)[i] = to_bf16(COMBINE(a, b));
            }
    }
}
static void scale(void *sum, size_t n, int type, double factor) {
    for (size_t i = 0; i < n; i++) switch (type) {
        case F16: ((_Float16 *)sum)[i] *= factor; break;
        case F32: ((float *)sum)[i] *= factor; break;
        case F64: ((double *)sum)[i] *= factor; break;
        case BF16: ((uint16_t *)sum)[i] = to_bf16(from_bf16(((uint16_t *)sum)[i]) * factor);
    }
}
int ncclRedOpCreatePreMulSum(int *operation, void *factor, int type, int where, communicator *c) {
    int at = factor_count++ % 64;
    factors[at] = type == F64 ? *(double *)factor : type == F32 ? *(float *)factor : type == F16 ? *(_Float16 *)factor : from_bf16(*(uint16_t *)factor);
    return *operation = SCALED + at, 0;
}
int ncclRedOpDestroy(int operation, communicator *c) { return 0; }

// Collectives, in pieces that fit a slot. A stream's order is that of the calls.
static void reduced(communicator *c, const char *in, char *out, size_t n, int type, int operation) {
    size_t w = width(type), most = SLOT / w;
    for (size_t at = 0; at < n; at += most) {
        size_t m = n - at < most ? n - at : most;
        char *sum = malloc(m * w);
        memcpy(slot(c, c->rank), in + at * w, m * w);
        barrier(c);
        memcpy(sum, slot(c, 0), m * w);
        for (int i = 1; i < c->count; i++) reduce(sum, slot(c, i), m, type, operation);
        if (operation == AVERAGE) scale(sum, m, type, 1.0 / c->count);
        if (operation >= SCALED) scale(sum, m, type, factors[operation - SCALED]);
        memcpy(out + at * w, sum, m * w);
        free(sum);
        barrier(c);
    }
}
static void begin(const char *name, void *stream) {
    arrive(stream, copies_so_far());
    phantom_library(name);
}
int ncclAllReduce(const void *in, void *out, size_t n, int type, int operation, communicator *c, void *stream) {
    begin("ncclAllReduce", stream);
    if (c->count > 1) reduced(c, in, out, n, type, operation);
    else {
        memmove(out, in, n * width(type));
        if (operation >= SCALED) scale(out, n, type, factors[operation - SCALED]);
    }
    return 0;
}
int ncclReduce(const void *in, void *out, size_t n, int type, int operation, int root, communicator *c, void *stream) {
    void *scratch = c->rank == root ? out : malloc(n * width(type));
    int error = ncclAllReduce(in, scratch, n, type, operation, c, stream);
    if (c->rank != root) free(scratch);
    return error;
}
int ncclReduceScatter(const void *in, void *out, size_t n, int type, int operation, communicator *c, void *stream) {
    size_t bytes = n * width(type);
    char *whole = malloc(bytes * c->count);
    int error = ncclAllReduce(in, whole, n * c->count, type, operation, c, stream);
    memcpy(out, whole + c->rank * bytes, bytes);
    free(whole);
    return error;
}
int ncclBroadcast(const void *in, void *out, size_t n, int type, int root, communicator *c, void *stream) {
    size_t bytes = n * width(type);
    begin("ncclBroadcast", stream);
    if (c->count == 1) return memmove(out, in, bytes), 0;
    for (size_t at = 0; at < bytes; at += SLOT) {
        size_t m = bytes - at < SLOT ? bytes - at : SLOT;
        if (c->rank == root) memcpy(slot(c, root), (const char *)in + at, m);
        barrier(c);
        memcpy((char *)out + at, slot(c, root), m);
        barrier(c);
    }
    return 0;
}
int ncclBcast(void *buffer, size_t n, int type, int root, communicator *c, void *stream) {
    return ncclBroadcast(buffer, buffer, n, type, root, c, stream);
}
int ncclAllGather(const void *in, void *out, size_t n, int type, communicator *c, void *stream) {
    size_t bytes = n * width(type);
    begin("ncclAllGather", stream);
    if (c->count == 1) return memmove(out, in, bytes), 0;
    for (size_t at = 0; at < bytes; at += SLOT) {
        size_t m = bytes - at < SLOT ? bytes - at : SLOT;
        memcpy(slot(c, c->rank), (const char *)in + at, m);
        barrier(c);
        for (int i = 0; i < c->count; i++) memcpy((char *)out + i * bytes + at, slot(c, i), m);
        barrier(c);
    }
    return 0;
}
