// The devices: how many, and what they say of themselves (an H200's numbers).
#include "phantom.h"
#include <dlfcn.h>

static __thread int current;
enum { VERSION = CUDART_VERSION };

cudaError_t cudaGetDeviceCount(int *count) { return *count = phantom_device_count, cudaSuccess; }
cudaError_t cudaGetDevice(int *device) { return *device = current, cudaSuccess; }
cudaError_t cudaSetDevice(int device) {
    if (device >= phantom_device_count) return cudaErrorInvalidDevice;
    current = device;
    return cudaSuccess;
}
cudaError_t cudaDeviceCanAccessPeer(int *can, int one, int other) { return *can = 1, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int *version) { return *version = VERSION, cudaSuccess; }
cudaError_t cudaDriverGetVersion(int *version) { return *version = VERSION, cudaSuccess; }
cudaError_t cudaDeviceGetPCIBusId(char *text, int length, int device) {
    snprintf(text, length, "0000:%02x:00.0", device);
    return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *out, int device) {
    *out = (struct cudaDeviceProp){
        .name = "Phantom", .totalGlobalMem = 141ul << 30, .sharedMemPerBlock = 49152, .regsPerBlock = 65536, .warpSize = 32,
        .maxThreadsPerBlock = 1024, .maxThreadsDim = {1024, 1024, 64}, .maxGridSize = {2147483647, 65535, 65535},
        .totalConstMem = 65536, .major = 9, .minor = 0, .textureAlignment = 512, .multiProcessorCount = 132,
        .l2CacheSize = 52428800, .maxThreadsPerMultiProcessor = 2048, .sharedMemPerMultiprocessor = 233472,
        .regsPerMultiprocessor = 65536, .sharedMemPerBlockOptin = 232448, .memoryBusWidth = 6144, .unifiedAddressing = 1,
        .concurrentKernels = 1, .asyncEngineCount = 3, .pciBusID = device, .maxBlocksPerMultiProcessor = 32,
    };
    return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
    struct cudaDeviceProp p;
    cudaGetDeviceProperties(&p, device);
    switch (attribute) {
        case cudaDevAttrMaxThreadsPerBlock: *value = p.maxThreadsPerBlock; break;
        case cudaDevAttrMaxBlockDimX: case cudaDevAttrMaxBlockDimY: *value = 1024; break;
        case cudaDevAttrMaxBlockDimZ: *value = 64; break;
        case cudaDevAttrMaxGridDimX: *value = 2147483647; break;
        case cudaDevAttrMaxGridDimY: case cudaDevAttrMaxGridDimZ: *value = 65535; break;
        case cudaDevAttrMaxSharedMemoryPerBlock: *value = 49152; break;
        case cudaDevAttrWarpSize: *value = 32; break;
        case cudaDevAttrMaxRegistersPerBlock: case cudaDevAttrMaxRegistersPerMultiprocessor: *value = 65536; break;
        case cudaDevAttrMultiProcessorCount: *value = p.multiProcessorCount; break;
        case cudaDevAttrMaxThreadsPerMultiProcessor: *value = 2048; break;
        case cudaDevAttrComputeCapabilityMajor: *value = p.major; break;
        case cudaDevAttrComputeCapabilityMinor: *value = p.minor; break;
        case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = 233472; break;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = 232448; break;
        case cudaDevAttrMaxBlocksPerMultiprocessor: *value = 32; break;
        case cudaDevAttrCooperativeLaunch: *value = 1; break;
        default: *value = 0;
    }
    return cudaSuccess;
}
const char *cudaGetErrorName(cudaError_t error) { return error == cudaErrorStreamCaptureUnsupported ? "cudaErrorStreamCaptureUnsupported" : "phantom"; }
const char *cudaGetErrorString(cudaError_t error) {
    return error == cudaErrorStreamCaptureUnsupported ? "operation not permitted when stream is capturing" : "an error of the phantom GPU";
}

// The driver's interface.
int cuInit(unsigned flags) { return 0; }
int cuDriverGetVersion(int *version) { return *version = VERSION, 0; }
int cuDeviceGetCount(int *count) { return *count = phantom_device_count, 0; }
int cuDeviceGet(int *device, int index) { return *device = index, 0; }
int cuDeviceGetName(char *name, int length, int device) { return snprintf(name, length, "Phantom"), 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { return *bytes = 141ul << 30, 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { return cudaDeviceGetAttribute(value, attribute, device); }
int cuCtxGetDevice(int *device) { return *device = current, 0; }
int cuCtxGetCurrent(void **context) { return *context = (void *)0x10, 0; }
int cuCtxCreate_v4(void **context) { return *context = (void *)0x10, 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { return *context = (void *)0x10, 0; }
int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) {
    if (flags) *flags = 0;
    if (active) *active = 1;
    return 0;
}
int cuPointerGetAttribute(void *value, int attribute, uintptr_t pointer) { return *(uint64_t *)value = 0, 0; }
int cuGetErrorString(int error, const char **text) { return *text = "an error of the phantom GPU", 0; }

// torch asks for the driver's functions by name; those that the stub has no body for do nothing.
static int nothing(void) { return 0; }
static void *by_name(const char *name) {
    void *self = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD), *found = self ? dlsym(self, name) : 0;
    return found ? found : (void *)nothing;
}
int cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags, void *status) { return *function = by_name(name), 0; }
cudaError_t cudaGetDriverEntryPointByVersion(const char *name, void **function, unsigned version, unsigned long long flags,
                                             enum cudaDriverEntryPointQueryResult *result) {
    *function = by_name(name);
    if (result) *result = cudaDriverEntryPointSuccess;
    return cudaSuccess;
}
