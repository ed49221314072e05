// cuBLAS and cuDNN: handles, sizes and choices of algorithm. Their work is counted by the generated functions.
#include "phantom.h"

void phantom_library(const char *name) {
    work(strncmp(name, "nccl", 4) ? LIBRARY : COLLECTIVE, name, 0);
}

static int one(void **out) { return *out = (void *)0x20, 0; }
int cublasCreate_v2(void **out) { return one(out); }
int cublasGetMathMode(void *handle, int *mode) { return *mode = 0, 0; }
int cublasGetPointerMode_v2(void *handle, int *mode) { return *mode = 0, 0; }
size_t cublasLtGetVersion(void) { return 130000; }
int cublasLtMatmulDescCreate(void **out, int compute, int scale) { return one(out); }
int cublasLtMatmulPreferenceCreate(void **out) { return one(out); }
int cublasLtMatrixLayoutCreate(void **out, int type, uint64_t rows, uint64_t columns, int64_t stride) { return one(out); }
int cublasLtMatmulAlgoGetHeuristic(void *handle, void *operation, void *a, void *b, void *c, void *d, void *preference, int wanted,
                                   void *results, int *found) {
    return *found = 1, 0;
}

size_t cudnnGetCudartVersion(void) { return CUDART_VERSION; }
int cudnnCreate(void **out) { return one(out); }
const char *cudnnGetErrorString(int error) { return "an error of the phantom GPU"; }

struct performance { int algorithm, status; float time; size_t memory; int determinism, math, reserved[3]; };
static int choose(int *found, struct performance *out) {
    *out = (struct performance){.algorithm = 1, .determinism = 1, .time = 1};
    return *found = 1, 0;
}
#define CHOICE(name) \
    int name##Algorithm_v7(void *h, void *x, void *w, void *c, void *y, int n, int *found, struct performance *out) { return choose(found, out); }
CHOICE(cudnnGetConvolutionForward)
CHOICE(cudnnGetConvolutionBackwardData)
CHOICE(cudnnGetConvolutionBackwardFilter)
#define SEARCH(name) \
    int name##AlgorithmEx(void *h, void *xd, void *x, void *wd, void *w, void *c, void *yd, void *y, int n, int *found, \
                          struct performance *out, void *space, size_t bytes) { return choose(found, out); }
SEARCH(cudnnFindConvolutionForward)
SEARCH(cudnnFindConvolutionBackwardData)
SEARCH(cudnnFindConvolutionBackwardFilter)
#define WORKSPACE(name) \
    int name##WorkspaceSize(void *h, void *a, void *b, void *c, void *d, int algorithm, size_t *bytes) { return *bytes = 0, 0; }
WORKSPACE(cudnnGetConvolutionForward)
WORKSPACE(cudnnGetConvolutionBackwardData)
WORKSPACE(cudnnGetConvolutionBackwardFilter)
int cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(void *h, int m, int o, void *x, void *z, void *y, void *b, void *a, size_t *bytes) {
    return *bytes = 256, 0;
}
int cudnnGetBatchNormalizationBackwardExWorkspaceSize(void *h, int m, int o, void *x, void *y, void *dy, void *dz, void *dx, void *b, void *a,
                                                      size_t *bytes) {
    return *bytes = 256, 0;
}
int cudnnGetBatchNormalizationTrainingExReserveSpaceSize(void *h, int m, int o, void *a, void *x, size_t *bytes) { return *bytes = 256, 0; }
int cudnnDropoutGetStatesSize(void *handle, size_t *bytes) { return *bytes = 256, 0; }
