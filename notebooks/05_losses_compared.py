# %% [markdown]
# # Compare losses
# Train the same linear model with squared, Huber and absolute error on data in which 5 % of the targets are outliers. Each loss
# gets the same number of tuning trials and is evaluated on the same new data. This notebook uses few trials and seeds to be quick;
# `configs/studies/losses_outliers.yaml` uses more.

# %%
# %matplotlib inline
from descent import compare

trials, seeds = 3, 4  # small: 1, 3
result = compare("configs/studies/losses_outliers.yaml", trials=trials, seeds=seeds, verbose=False)
print(result.verdict)

# %%
result.table

# %%
result.figures["differences"]

# %% [markdown]
# [The study with more seeds](../docs/studies/README.md) finds the crossover between 1 and 5 % of outliers.
