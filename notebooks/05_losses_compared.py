# %% [markdown]
# # Losses compared
# **You will learn** what outliers do to the squared, the absolute and Huber's error, and how to compare losses fairly: each with its
# own learning rate, over several seeds, judged by a metric that is none of them. **Time:** 20 minutes; the study takes two to
# three minutes on one core.
#
# ## The losses
# For a residual $r = \hat y - y$:
#
# $$\text{MSE}: r^2 \qquad \text{RMSE}: \sqrt{\operatorname{mean} r^2} \qquad \text{MAE}: |r| \qquad
# \text{Huber}: \begin{cases} \tfrac{1}{2} r^2 & |r| \le \delta \\ \delta\,(|r| - \tfrac{1}{2} \delta) & |r| > \delta \end{cases}$$
#
# Training follows the derivative with respect to $\hat y$: it is what a sample can do to the weights.
#
# **Question 1.** A target is wrong by 15. How much harder does it pull at the weights than a good one with $r = 1$, for each loss?

# %%
# %matplotlib inline
import torch
from matplotlib import pyplot as plt
from torch.nn.functional import huber_loss, l1_loss, mse_loss

residual = torch.linspace(-4, 4, 401, requires_grad=True)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
for (name, loss), color in zip(
    {"MSE": mse_loss, "Huber": huber_loss, "MAE": l1_loss}.items(), ("#0072B2", "#009E73", "#D55E00"), strict=True
):
    values = loss(residual, torch.zeros_like(residual), reduction="none")
    (slope,) = torch.autograd.grad(values.sum(), residual)
    left.plot(residual.detach(), values.detach(), label=name, color=color)
    right.plot(residual.detach(), slope, label=name, color=color)
    pulls = [
        torch.autograd.grad(loss(r, torch.tensor(0.0)), r)[0] for r in torch.tensor([15.0, 1.0], requires_grad=True)
    ]
    print(f"{name}: pull {pulls[0]:g} at a residual of 15, {pulls[1]:g} at 1")
left.set(xlabel="residual", ylabel="loss", ylim=(0, 8))
right.set(xlabel="residual", ylabel="derivative of the loss")
left.legend(frameon=False)
plt.show()

# %% [markdown]
# **Explanation.** With MSE a target that is wrong by 15 pulls 15 times as hard as one with a residual of 1. With Huber's loss
# ($\delta = 1$) and MAE no sample pulls harder than 1. MAE pulls equally hard at a tiny residual, so it goes on shaking the weights
# near the optimum; Huber's loss does not. RMSE has the gradient of MSE divided by twice the RMSE itself: another length of step, the same
# direction, and the same optimum.
#
# ## The study
# A linear model, 1,000 rows, noise of standard deviation 1; of the targets 5 % are off by 10 to 20. The test rows have no
# outliers. Each loss gets the same number of trials for its learning rate, and is then trained with 8 seeds; each seed draws new
# data, the same for all four. All are judged by the mean absolute error on the test rows.
#
# **Question 2.** Order the four losses. Is the judge unfair, since it is one of the candidates?

# %%
from descent import compare

trials, seeds = 5, 8  # small: 2, 3
epochs = 100  # small: 10
result = compare(
    "configs/studies/losses_outliers.yaml",
    trials=trials,
    seeds=seeds,
    tuning="once",
    overrides={
        "trainer.max_epochs": epochs,
        "trainer.check_val_every_n_epoch": 10,
        "model.optimizer": "optimizers/adam.yaml",
        "model.optimizer.lr": 0.03,
        "model.optimizer.weight_decay": 0.0,
        "data.disturbance": "outliers",
        "data.noise": 1.0,
    },
    verbose=False,
)
print(result.verdict)

# %%
result.figures["differences"]

# %%
result.table[["group", "mean", "low", "high", "difference", "best model.optimizer.lr"]].round(4)

# %% [markdown]
# **Explanation.** Huber's loss (0.811) and MAE (0.813) are practically equal; RMSE (0.891) and MSE (0.898) are behind. Even the true weights would
# have $\sqrt{2 / \pi} = 0.798$, the mean size of the noise: the robust losses are almost there, although one target in twenty was nonsense. The
# dots are the seeds: the difference to MSE is on the same side in all of them, and its size changes with the data that was drawn. The judge
# does not favour MAE: without outliers mean and median of the noise are the same, so all four losses aim at the same weights, and
# Huber's loss is as good. RMSE and MSE share a letter, as their gradients suggested. One tuning chose the rates for all seeds
# (`tuning="once"`), so the verdict is about these rates; here every loss kept the usual one, 0.03.
#
# ## Exercises
# 1. Repeat the study without outliers: replace `"outliers"` by `"none"`, with `out="runs/studies/clean"`. What do you expect?
# <details><summary>Answer</summary>
#
# The four tie. With normal noise the squared error is the best estimator, but on 800 rows and 10 weights the others lose almost nothing.
# [The finished study of clean data](../docs/studies/README.md) finds the same with 10 seeds.
# </details>
#
# 2. For which constant $c$ is $\sum_i |y_i - c|$ smallest, and for which $\sum_i (y_i - c)^2$? What follows for outliers?
# <details><summary>Answer</summary>
#
# ```python
# y = torch.tensor([1.0, 2.0, 3.0, 4.0, 100.0])
# c = torch.linspace(0, 100, 10001)[:, None]
# print("absolute:", c[(y - c).abs().sum(1).argmin()].item(), " squared:", c[((y - c) ** 2).sum(1).argmin()].item())
# ```
# The median (3) and the mean (22). One outlier among five moves the mean as far as it likes, and the median not at all. A network
# predicts the median or the mean *for each input*.
# </details>
#
# 3. The outliers of your data are not errors but what you must predict (floods, fraud). Which loss now?
# <details><summary>Answer</summary>
#
# Not a robust one: it learns to overlook them. Take the squared error, or weigh the rare cases, and judge by a metric that counts
# them.
# </details>
#
# With more seeds and trials: `descent compare -c configs/studies/losses_outliers.yaml`. [The finished studies](../docs/studies/README.md)
# find the share of outliers at which the order changes; [all losses](../docs/losses.md) with their formulas.
