"""What each loss can be put through: types and layouts of targets, second derivatives, `torch.func`, compilers.

python -m tests.lightning_modules.losses.transforms   rewrites the table of docs/losses.md, compiled by Inductor.

The table is made with Inductor, whose C++ takes minutes to compile. The tests trace every loss without a break, and
decompose the backward pass of a few as Inductor does.

A cell is ✓ if the result is right for every target type and layout that the loss takes, and "error" if it raises. Every
result is compared with plain autograd in float64, second derivatives with differences.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.gradcheck import GradcheckError

from tests.lightning_modules.losses.accuracy import PAGE, between
from tests.lightning_modules.losses.cases import CASES, build, random_input

PART = "transforms"
BACKEND = "eager"
NUMBERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.bool)
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda t: t.contiguous(),
    "transposed": lambda t: t.transpose(0, -1).contiguous().transpose(0, -1),
    "strided": lambda t: torch.stack([t, t], -1)[..., 0],
}
Loss = Callable[[Tensor, Tensor], Tensor]


def gradient(loss: Loss, output: Tensor, target: Tensor) -> Tensor:
    prediction = output.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(prediction, target), prediction)
    return slope


def backward(loss: Loss, output: Tensor, target: Tensor, expected: Tensor) -> None:
    same(gradient(loss, output, target), expected)


def double_backward(loss: Loss, output: Tensor, target: Tensor, expected: Tensor) -> None:
    prediction = output.detach().clone().requires_grad_()
    torch.autograd.gradgradcheck(lambda x: loss(x, target), prediction, fast_mode=True, check_undefined_grad=False)


def func_grad(loss: Loss, output: Tensor, target: Tensor, expected: Tensor) -> None:
    same(torch.func.grad(loss)(output, target), expected)


def jvp(loss: Loss, output: Tensor, target: Tensor, expected: Tensor) -> None:
    direction = torch.linspace(-1, 2, output.numel(), dtype=output.dtype).view(output.shape)
    slope = torch.func.jvp(lambda x: loss(x, target), (output,), (direction,))[1]
    same(slope, (expected * direction).sum())


def vmap(loss: Loss, output: Tensor, target: Tensor, expected: Tensor) -> None:
    outputs = torch.stack([output, 0.5 * output])
    values = torch.vmap(loss)(outputs, torch.stack([target, target]))
    same(values, torch.stack([loss(one, target) for one in outputs]))
    slopes = torch.vmap(torch.func.grad(loss))(outputs, torch.stack([target, target]))
    same(slopes[0], expected)


def compiled(loss: Loss, output: Tensor, target: Tensor, expected: Tensor) -> None:
    torch._dynamo.reset()
    made = torch.compile(loss, fullgraph=True, dynamic=True, backend=BACKEND)
    same(gradient(made, output, target), expected)


def exported(loss: Loss, output: Tensor, target: Tensor, expected: Tensor) -> None:
    assert isinstance(loss, nn.Module)
    made = torch.export.export(loss, (output, target), strict=False).module()
    same(made(output, target), loss(output, target))


EACH_TARGET = {
    "backward": backward,
    "double backward": double_backward,
    "`func.grad`": func_grad,
    "`func.jvp`": jvp,
    "`vmap`": vmap,
}
ONE_TARGET = {"`compile`": compiled, "`export`": exported}


def same(found: Any, expected: Any) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9, check_dtype=False)


def outcome(check: Callable[[], None]) -> str:
    """Return ✓, "error" if the check raises what torch and the losses raise, or "wrong" if a number differs."""
    try:
        check()
    except AssertionError:
        return "wrong"
    except GradcheckError:
        return "wrong"
    except (RuntimeError, ValueError, TypeError, NotImplementedError):
        return "error"
    return "✓"


def targets_of(name: str) -> dict[str, Tensor]:
    """Return the targets of a case in every type that holds them, by the type's name, and in every layout."""
    case = CASES[name]
    _, target = random_input(case.kind)
    types = FLOATS if target.is_floating_point() else NUMBERS
    made = {}
    for dtype in types:
        short = str(dtype).removeprefix("torch.")
        if dtype == torch.bool and target.max() > 1:
            continue
        exact = target.half().bfloat16() if dtype in (torch.float16, torch.bfloat16) else target
        made[short] = exact.to(dtype)
    return made


def row(name: str) -> dict[str, str]:
    """Return the cells of a case: all types and layouts go through the backward pass, and one of each through the rest."""
    loss = build(name).double()
    output = random_input(CASES[name].kind, scale=1.5)[0].double()
    found: dict[str, dict[str, set[str]]] = {title: {} for title in (*EACH_TARGET, *ONE_TARGET)}
    taken = []
    for short, target in targets_of(name).items():
        exact = target.double() if target.is_floating_point() else target.long()
        usual = short in ("int64", "float64")
        expected = gradient(loss, output, exact)
        if outcome(partial(backward, loss, output, target, expected)) == "error":
            continue
        taken.append(short)
        for layout, arrange in LAYOUTS.items():
            for title, check in EACH_TARGET.items():
                one_of_each = usual if title == "double backward" else usual or layout == "contiguous"
                if title != "backward" and not one_of_each:
                    continue
                result = outcome(partial(check, loss, arrange(output), arrange(target), expected))
                found[title].setdefault(result, set()).add(short)
        if usual:
            for title, check in ONE_TARGET.items():
                result = outcome(partial(check, copy.deepcopy(loss), output, target, expected))
                found[title].setdefault(result, set()).add(short)
    return {"targets": ", ".join(taken), **{title: _cell(results) for title, results in found.items()}}


def _cell(results: dict[str, set[str]]) -> str:
    """Return the outcome, and the types with another one."""
    others = [f"{', '.join(sorted(types))}: {result}" for result, types in results.items() if result != "✓"]
    return "; ".join((["✓"] if "✓" in results else []) + others)


def table() -> str:
    """Return a row per case."""
    titles = ["loss", "targets", *EACH_TARGET, *ONE_TARGET]
    lines = ["| " + " | ".join(titles) + " |", "|" + " --- |" * len(titles)]
    lines += ["| " + " | ".join([name, *row(name).values()]) + " |" for name in CASES]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    BACKEND = "inductor"
    page = PAGE.read_text()
    begin, end = f"<!-- {PART}: begin -->\n\n", f"\n<!-- {PART}: end -->"
    PAGE.write_text(page.replace(f"{begin}{between(page, PART)}{end}", f"{begin}{table()}{end}"))
