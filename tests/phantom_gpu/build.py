"""Build the phantom GPU's driver, `libcuda.so.1`, with gcc, from the headers that torch's CUDA wheels bring.

Nearly all of the 1,900 functions that torch's libraries want from a driver, cuBLAS, cuDNN and NCCL need no body: they are
generated here, and return 0. Those with one stand in `driver/`.
"""

from __future__ import annotations

import fcntl
import hashlib
import platform
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).parent / "driver"
BUILDS = ROOT / ".pytest_cache" / "phantom_gpu"
LIBRARY = "libcuda.so.1"
OFFERED = r"__cuda\w+|cuda[A-Z]\w*|cu[A-Z]\w*|cublas\w+|cudnn\w+|nccl\w+"
LEFT_OUT = ("cuFile", "cusparse", "cusolver", "cufft", "curand")  # these libraries stay the wheels' own
HANDLES = r"cudnnCreate\w+Descriptor|cublasLt\w+Create|nccl.*Init"  # they return something through their first argument
WORK = r"cublas.*(gemm|Gemm|gemv|Matmul$|dot|Dot|axpy|trsm)|cudnn(Conv|Batch|RNN|Pooling|Backend)\w*|nccl(Send|Recv)"


@cache
def missing() -> str:
    """Return what this machine lacks for the phantom GPU, or nothing."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return f"it is for Linux on x86-64, this is {sys.platform} on {platform.machine()}"
    for program in ("gcc", "nm"):
        if not shutil.which(program):
            return f"no {program} (apt-get install gcc binutils)"
    torch = find_spec("torch")
    if torch is None or torch.origin is None or not (Path(torch.origin).parent / "lib" / "libtorch_cuda.so").exists():
        return "torch's wheel is without CUDA (pip install torch, from PyPI)"
    return (
        "" if cuda_headers() else "no header cuda_runtime_api.h in nvidia's wheels, which torch's CUDA wheel requires"
    )


def packages() -> Path:
    """Return the folder that holds torch and the packages of NVIDIA."""
    torch = find_spec("torch")
    assert torch is not None
    assert torch.origin is not None
    return Path(torch.origin).parents[1]


def cuda_headers() -> Path | None:
    """Return the folder of CUDA's headers, of whatever version torch was built for."""
    return next((path.parent for path in sorted(packages().glob("nvidia/cu*/include/cuda_runtime_api.h"))), None)


def wanted(headers: Path) -> set[str]:
    """Return the names that torch's libraries expect others to define, and those of the driver."""
    names: set[str] = set()
    for library in sorted((packages() / "torch" / "lib").glob("lib*.so")):
        listed = subprocess.run(
            ["nm", "-D", "--undefined-only", library], capture_output=True, text=True, check=True
        ).stdout
        names |= {line.split()[-1].partition("@")[0] for line in listed.splitlines()}
    names = {name for name in names if re.fullmatch(OFFERED, name) and not name.startswith(LEFT_OUT)}
    driver = set(re.findall(r"CUresult\s+CUDAAPI\s+(cu[A-Z]\w+)\s*\(", (headers / "cuda.h").read_text()))
    return names | {name + version for name in driver for version in ("", "_v2", "_v3")}


def generated(names: set[str]) -> str:
    """Return C for all the functions; weak, so that the linker prefers those that `driver/` gives a body."""
    version = (packages() / "nvidia" / "cudnn" / "include" / "cudnn_version.h").read_text()
    major, minor, patch = (
        int(re.findall(rf"define CUDNN_{part} (\d+)", version)[0]) for part in ("MAJOR", "MINOR", "PATCHLEVEL")
    )
    lines = [
        "#include <stddef.h>",
        "#define WEAK __attribute__((weak))",
        "void phantom_library(const char *name);",
        f"size_t cudnnGetVersion(void) {{ return {major * 10000 + minor * 100 + patch}; }}",
        f"int cudnnGetProperty(int t, int *v) {{ return *v = t == 0 ? {major} : t == 1 ? {minor} : {patch}, 0; }}",
    ]
    for name in sorted(names - {"cudnnGetVersion", "cudnnGetProperty"}):
        if re.fullmatch(HANDLES, name):
            lines.append(f"WEAK int {name}(void **out) {{ return *out = (void *)0x20, 0; }}")
        elif re.match(WORK, name):
            lines.append(f'WEAK int {name}(void) {{ return phantom_library("{name}"), 0; }}')
        else:
            lines.append(f"WEAK int {name}(void) {{ return 0; }}")
    return "\n".join(lines) + "\n"


def key() -> str:
    """Return what a build depends on: these sources and the torch that is installed."""
    digest = hashlib.sha256(str(packages()).encode())
    digest.update((packages() / "torch" / "version.py").read_bytes())
    for path in [Path(__file__), *sorted(path for path in DRIVER.rglob("*") if path.is_file())]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def build() -> Path:
    """Return the driver's library; one of several processes that ask at once builds it, in a few seconds."""
    folder = BUILDS / key()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / LIBRARY).exists():
            compile_into(folder)
    return folder / LIBRARY


def compile_into(folder: Path) -> None:
    headers = cuda_headers()
    assert headers is not None
    rest = folder / "rest.c"
    rest.write_text(generated(wanted(headers)))
    sources = [*sorted(DRIVER.glob("*.c")), rest]
    options = ["-O2", "-w", "-fPIC", "-shared", f"-I{headers}", f"-I{DRIVER}", f"-Wl,-soname,{LIBRARY}"]
    unfinished = folder / f"{LIBRARY}.part"
    subprocess.run(["gcc", *options, "-o", unfinished, *sources, "-lpthread", "-lrt", "-ldl"], check=True)
    unfinished.rename(folder / LIBRARY)


if __name__ == "__main__":
    print(missing() or build())
