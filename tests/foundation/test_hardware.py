"""What takes the place of fp16 on a CPU."""

from pathlib import Path

import pytest
import torch

from foundation import hardware as precision
from foundation.hardware import cpu_flags, effective_precision


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
@pytest.mark.parametrize("requested", ["16-mixed", "16", 16, "16-true"])
def test_fp16_on_a_cpu(has_bf16: bool, expected: str, requested: str | int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: has_bf16)
    effective, reason = effective_precision(requested, "cpu")
    assert effective == expected
    assert reason is not None
    assert ("16-true is for GPUs" if requested == "16-true" else "needs a GPU") in reason
    assert ("weights in 32 bit" in reason) == (has_bf16 and requested == "16-true")
    assert "\n" not in reason


@pytest.mark.parametrize("requested", [None, "32-true", "bf16-mixed", 32, "64-true"])
def test_the_rest_stays(requested: str | int | None) -> None:
    assert effective_precision(requested, "cpu") == (requested, None)


def test_an_accelerator_keeps_fp16(monkeypatch: pytest.MonkeyPatch) -> None:
    assert effective_precision("16-mixed", "cuda") == ("16-mixed", None)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert effective_precision("16-mixed", "auto") == ("16-mixed", None)


def test_flags_of_x86_and_arm(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nflags\t\t: fpu avx512_bf16 amx_tile\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert "avx512_bf16" in cpu_flags(info)
    info.write_text("processor : 0\nFeatures : fp asimd bf16\n")
    assert cpu_flags(info) == {"fp", "asimd", "bf16"}
    assert cpu_flags(tmp_path / "none") == set()


@pytest.mark.parametrize("flags", [set(), {"amx_bf16"}])
def test_mixed_on_a_cpu(flags: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foundation.hardware.cpu_flags", lambda: flags)
    effective, reason = effective_precision("mixed", "cpu")
    assert effective == ("bf16-mixed" if flags else "32-true")
    assert reason is not None
    assert reason.startswith("precision: mixed, and this CPU has ")


@pytest.mark.parametrize("supported", [True, False])
def test_mixed_on_a_gpu(supported: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    effective, reason = effective_precision("mixed", "gpu")
    assert effective == ("bf16-mixed" if supported else "16-mixed")
    assert reason is not None
