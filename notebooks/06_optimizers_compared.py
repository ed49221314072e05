# %% [markdown]
# # Optimizers compared
# Three optimizers on the digits. Each is tuned with the same number of trials, then trained again with seeds that all share:
# without that a ranking is about the default learning rates.

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
# Candidates that share a letter tie: this study cannot tell them apart. With so few seeds that is likely; more seeds tell more.

# %%
result.table

# %%
result.figures["curves"]
