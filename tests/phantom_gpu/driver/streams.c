// Streams, events and the capture of graphs. An event remembers which copies of its stream come before it.
#include "phantom.h"

static uintptr_t serial = 0x1000;  // a handle of CUDA is an opaque pointer
static void *handle(void) { return (void *)__sync_fetch_and_add(&serial, 16); }
int phantom_capturing;
static int captures;
#define NOT_WHILE_CAPTURING if (phantom_capturing) return cudaErrorStreamCaptureUnsupported

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority) {
    *stream = handle();
    return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) { return cudaStreamCreateWithPriority(stream, flags, 0); }
cudaError_t cudaStreamCreate(cudaStream_t *stream) { return cudaStreamCreateWithPriority(stream, 0, 0); }
cudaError_t cudaStreamGetPriority(cudaStream_t stream, int *priority) {
    *priority = 0;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
    *least = 0;
    *greatest = -5;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    note(STREAM_SYNC, "cudaStreamSynchronize", 0);
    NOT_WHILE_CAPTURING;
    complete(stream, copies_so_far());
    return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize(void) {
    note(DEVICE_SYNC, "cudaDeviceSynchronize", 0);
    NOT_WHILE_CAPTURING;
    complete_all();
    return cudaSuccess;
}

struct event { cudaStream_t stream; uint64_t until; int polls; };
enum { POLLS = 3 };  // a query finds the device busy that often, then done: who polls must not wait for ever

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
    *event = calloc(1, sizeof(struct event));
    return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t *event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    free(event);
    return cudaSuccess;
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
    *(struct event *)event = (struct event){stream, copies_so_far(), 0};
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) { return cudaEventRecordWithFlags(event, stream, 0); }
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
    struct event *e = (struct event *)event;
    arrive(e->stream, e->until);
    return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    note(EVENT_SYNC, "cudaEventSynchronize", 0);
    NOT_WHILE_CAPTURING;
    struct event *e = (struct event *)event;
    complete(e->stream, e->until);
    return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
    struct event *e = (struct event *)event;
    if (pending(e->stream, e->until) && e->polls++ < POLLS) return cudaErrorNotReady;
    complete(e->stream, e->until);
    return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
    static int polls;
    if (pending(stream, copies_so_far()) && polls++ % (POLLS + 1) < POLLS) return cudaErrorNotReady;
    complete(stream, copies_so_far());
    return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t begin, cudaEvent_t end) {
    *ms = 1;
    return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *data) {
    function(data);
    return cudaSuccess;
}
cudaError_t cudaStreamAddCallback(cudaStream_t stream, cudaStreamCallback_t function, void *data, unsigned flags) {
    function(stream, cudaSuccess, data);
    return cudaSuccess;
}

// A capture forbids what a real one forbids; its graph holds nothing.
static enum cudaStreamCaptureStatus status(void) { return phantom_capturing ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone; }
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *out) {
    *out = status();
    return cudaSuccess;
}
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, enum cudaStreamCaptureStatus *out, unsigned long long *id, cudaGraph_t *graph,
                                     const cudaGraphNode_t **nodes, const cudaGraphEdgeData **edges, size_t *count) {
    *out = status();
    if (id) *id = phantom_capturing;
    if (graph) *graph = (cudaGraph_t)0x10;
    if (nodes) *nodes = 0;
    if (edges) *edges = 0;
    if (count) *count = 0;
    return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
    phantom_capturing = ++captures;
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    phantom_capturing = 0;
    *graph = handle();
    return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count) {
    *count = 1;
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long flags) {
    *out = handle();
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
    arrive(stream, copies_so_far());
    work(LAUNCH, "cudaGraphLaunch", 0);
    return cudaSuccess;
}
