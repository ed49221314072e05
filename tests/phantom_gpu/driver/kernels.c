// Kernels: named when their library is loaded, counted when they are launched, never run.
#include "phantom.h"

enum { SLOTS = 1 << 17 };
static struct { const void *function; const char *name; } table[SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static unsigned slot(const void *function) {
    unsigned at = (((uintptr_t)function >> 4) * 2654435761u) & (SLOTS - 1);
    while (table[at].function && table[at].function != function) at = (at + 1) & (SLOTS - 1);
    return at;
}

// nvcc's start-up code calls these for every kernel of a library.
void **__cudaRegisterFatBinary(void *binary) {
    static void *registered[4];
    return registered;
}
void __cudaRegisterFatBinaryEnd(void **binary) {}
void __cudaUnregisterFatBinary(void **binary) {}
char __cudaInitModule(void **binary) { return 1; }
void __cudaRegisterVar(void **binary, char *a, char *b, const char *name, int c, size_t d, int e, int f) {}
void __cudaRegisterFunction(void **binary, const char *function, char *device, const char *name, int limit, void *a, void *b, void *c,
                            void *d, int *e) {
    pthread_mutex_lock(&lock);
    unsigned at = slot(function);
    table[at].function = function;
    table[at].name = name;
    pthread_mutex_unlock(&lock);
}

// `kernel<<<grid, block>>>(...)` pushes its configuration, and a stub of nvcc pops it again.
static __thread struct { dim3 grid, block; size_t shared; void *stream; } configuration;
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, void *stream) {
    configuration.grid = grid;
    configuration.block = block;
    configuration.shared = shared;
    configuration.stream = stream;
    return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream) {
    *grid = configuration.grid;
    *block = configuration.block;
    *shared = configuration.shared;
    *(void **)stream = configuration.stream;
    return cudaSuccess;
}

static cudaError_t launch(const void *function, cudaStream_t stream) {
    arrive(stream, copies_so_far());
    const char *name = table[slot(function)].name;
    work(LAUNCH, name ? name : "?", 0);
    return cudaSuccess;
}
cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *function) {
    *kernel = (cudaKernel_t)function;
    return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void **arguments, size_t shared, cudaStream_t stream) {
    return launch((const void *)kernel, stream);
}
cudaError_t cudaLaunchKernel(const void *function, dim3 grid, dim3 block, void **arguments, size_t shared, cudaStream_t stream) {
    return launch(function, stream);
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *function, void **arguments) {
    return launch(function, config->stream);
}
cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *out, const void *function) {
    memset(out, 0, sizeof *out);
    out->maxThreadsPerBlock = 1024;
    out->numRegs = 32;
    out->binaryVersion = out->ptxVersion = 90;
    out->maxDynamicSharedSizeBytes = 49152;
    return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *out, const void *function, int block, size_t shared, unsigned flags) {
    *out = 2;
    return cudaSuccess;
}

// The driver's interface, which torch uses for kernels that it compiles at run time.
int cuModuleLoadData(void **module, const void *image) { return *module = (void *)0x40, 0; }
int cuModuleGetFunction(void **function, void *module, const char *name) { return *function = (void *)0x40, 0; }
int cuFuncGetAttribute(int *value, int attribute, void *function) { return *value = attribute == 0 ? 1024 : attribute == 4 ? 32 : 0, 0; }
int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *out, void *function, int block, size_t shared) { return *out = 2, 0; }
int cuLaunchKernel(void *function) { return work(LAUNCH, "cuLaunchKernel", 0), 0; }
int cuLaunchKernelEx(void *config, void *function, void **arguments, void **extra) { return work(LAUNCH, "cuLaunchKernelEx", 0), 0; }
