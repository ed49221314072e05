# %% [markdown]
# # Optimizers compared
# **You will learn** how three optimizers differ, why each needs its own learning rate, and what a tie in a study means.
# **Time:** 20 minutes; the study takes two to three minutes on one core.
#
# ## The update rules
# With the gradient $g_t$ of the loss at step $t$:
#
# | optimizer | update |
# | --- | --- |
# | SGD | $\theta \leftarrow \theta - \eta\, g_t$ |
# | SGD with momentum | $v \leftarrow \mu v + g_t, \quad \theta \leftarrow \theta - \eta\, v$ |
# | AdamW | $m \leftarrow \beta_1 m + (1 - \beta_1) g_t, \quad s \leftarrow \beta_2 s + (1 - \beta_2) g_t^2, \quad \theta \leftarrow (1 - \eta \lambda)\,\theta - \eta\, \hat m / (\sqrt{\hat s} + \epsilon)$ |
#
# ## A narrow valley
# The loss $f(x, y) = \tfrac{1}{2} (x^2 + 25 y^2)$ is a valley that is 25 times as steep across as along.
#
# **Question 1.** Which way will each of the three take from (−4, 1) to the minimum at (0, 0)?

# %%
# %matplotlib inline
import torch
from matplotlib import pyplot as plt

ways = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.035),
    "SGD with momentum": lambda p: torch.optim.SGD(p, lr=0.035, momentum=0.8),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.3),
}
x, y = torch.meshgrid(torch.linspace(-4.5, 2.5, 150), torch.linspace(-1.6, 1.6, 150), indexing="xy")
figure, axes = plt.subplots(1, 3, figsize=(11, 3), sharey=True)
for (name, make), place in zip(ways.items(), axes, strict=True):
    point = torch.tensor([-4.0, 1.0], requires_grad=True)
    optimizer, way = make([point]), [point.detach().clone()]
    for _ in range(30):
        optimizer.zero_grad()
        (0.5 * (point[0] ** 2 + 25 * point[1] ** 2)).backward()
        optimizer.step()
        way.append(point.detach().clone())
    place.contour(x, y, 0.5 * (x**2 + 25 * y**2), levels=[0.2, 1, 3, 8, 16, 28], colors="0.75")
    place.plot(*torch.stack(way).T, ".-", color="#0072B2")
    place.plot(0, 0, "*", color="#D55E00", markersize=12)
    place.set(title=name, xlabel="x")
    print(f"{name}: distance from the minimum after 30 steps {point.norm():.2f}")
axes[0].set_ylabel("y")
plt.show()

# %% [markdown]
# **Explanation.** SGD is across the valley at once and then creeps along its floor: its rate must be small enough for the steep direction,
# and is too small for the flat one. After 30 steps it is 1.37 away. Momentum adds up the small gradients along the valley, and swings
# across it; it comes nearest (0.06). AdamW divides each coordinate by the size of its own gradients, so steep and flat directions count alike:
# it starts diagonally. It runs past the minimum and turns back, since its steps do not get shorter by themselves.
#
# ## The study
# A small convolutional network on the digits, four epochs. For each optimizer the rate is tuned with the same number of trials, in
# a range of a tenth to ten times its usual value; then it is trained with up to 8 seeds, fewer
# where the difference is clear sooner.
#
# **Question 2.** Which optimizer wins after four epochs? Would the order be the same after a hundred?

# %%
from descent import compare

trials, seeds = 5, 8  # small: 2, 3
epochs = 4  # small: 1
result = compare(
    "configs/studies/quickstart.yaml",
    trials=trials,
    seeds=seeds,
    tuning="once",
    overrides={"trainer.max_epochs": epochs, "data.val_share": 0.25},
    verbose=False,
)
print(result.verdict)

# %%
result.figures["curves"]

# %%
result.figures["differences"]

# %%
result.table[["group", "mean", "low", "high", "difference", "best model.optimizer.lr"]].round(4)

# %% [markdown]
# **Explanation.** The second figure and the table say what the verdict says: AdamW is right for 97.4 % of the test images,
# SGD with momentum 96.8 %, SGD 96.1 %, and no interval of a difference touches 0. Two things qualify it. First, `tuning="once"`: each
# optimizer was tuned a single time, so the verdict is about *these* rates; another tuning may choose others. Without it each round is
# tuned anew, and the study takes several times as long. Second, four epochs: the curves approach each other. Which optimizer is fastest
# and which is best in the end are two questions.
#
# **Question 3.** How much of that would you have seen with the usual rates, without tuning?

# %%
result.figures["sensitivity"]

# %% [markdown]
# **Explanation.** Each point is a trial, the ring is the rate that was chosen. The usual rates are $10^{-3}$ for AdamW and $10^{-1}$ for the other two:
# there SGD with momentum is best, and AdamW several points behind. The order of this study comes from tuning each. The best rate of AdamW
# is a tenth of that of SGD with momentum, and a thirtieth of that of plain SGD: no common rate would have been fair.
#
# ## Exercises
# 1. Give SGD in the valley a rate of 0.085 in the place of 0.035. What happens across the valley, and why just there?
# <details><summary>Answer</summary>
#
# ```python
# point = torch.tensor([-4.0, 1.0], requires_grad=True)
# optimizer = torch.optim.SGD([point], lr=0.085)
# for _ in range(30):
#     optimizer.zero_grad()
#     (0.5 * (point[0] ** 2 + 25 * point[1] ** 2)).backward()
#     optimizer.step()
# print(point.detach())
# ```
# Each step multiplies $y$ by $1 - 25 \eta = -1.125$: it jumps from side to side, further each time. Above $\eta = 2 / 25 = 0.08$ the steepest
# direction of the loss diverges, whatever the others do.
# </details>
#
# 2. Why is it unfair to compare optimizers at "the same learning rate"?
# <details><summary>Answer</summary>
#
# The rate has another meaning in each: SGD multiplies it by the gradient; with momentum $\mu$ a steady gradient moves the weights
# $1 / (1 - \mu)$ times as far (10 times for 0.9); AdamW's steps are about as long as the rate. At any common rate one of them is badly
# tuned.
# </details>
#
# 3. Two optimizers share a letter. May you write that they are equally good?
# <details><summary>Answer</summary>
#
# No: only that this study has found no difference. The interval of the difference says which differences it leaves open. More seeds make
# it narrower, as $1 / \sqrt{\text{seeds}}$.
# </details>
#
# With a tuning in each round: `descent compare -c configs/studies/quickstart.yaml`. [The finished studies](../docs/studies/README.md),
# [how they are made](../docs/studies/method.md), [all optimizers](../docs/optimizers.md).
