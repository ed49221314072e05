# %% [markdown]
# # Compare optimizers
# Compare three optimizers on the digits. Each is tuned with the same number of trials and then trained with the same seeds. Without
# tuning, the ranking would depend on the default learning rates.

# %%
# %matplotlib inline
from descent import compare

trials, seeds = 2, 3  # small: 1, 2
epochs = 2  # small: 1
result = compare(
    "configs/studies/quickstart.yaml",
    trials=trials,
    seeds=seeds,
    overrides={"trainer.max_epochs": epochs, "data.val_share": 0.25},
    verbose=False,
)
print(result.verdict)

# %% [markdown]
# Candidates that share a letter are not significantly different in this study. With so few seeds that is likely; use more seeds
# to find smaller differences.

# %%
result.table

# %%
result.figures["curves"]
