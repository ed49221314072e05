# %% [markdown]
# # Losses compared
# The same linear model with squared, Huber and absolute error, on data of which a twentieth is far off: each tuned alike, each
# judged on the same fresh data. A few trials and seeds, so that it is quick; `configs/studies/losses_outliers.yaml` has more.

# %%
# %matplotlib inline
from descent import compare

trials, seeds = 3, 4  # small: 1, 2
result = compare("configs/studies/losses_outliers.yaml", trials=trials, seeds=seeds, verbose=False)
print(result.verdict)

# %%
result.table

# %%
result.figures["differences"]

# %% [markdown]
# [The study with enough seeds](../docs/studies/README.md) says where the crossover lies: between 1 and 5 % of outliers.
