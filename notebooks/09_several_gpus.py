# %% [markdown]
# # Several GPUs
# `--trainer.devices 4`, and nothing else: each process takes its share of every epoch, no image twice, gradients are averaged,
# metrics are summed over all. The batch size is that of each process, so four of them take four times as many images a step:
# look for the learning rate again (`descent find-lr` with the same devices).
#
# A notebook's process cannot become several, so the command is started from here; two CPU processes stand in for two GPUs.

# %%
import subprocess
import sys

from callbacks import history

processes = 2  # small: 1
command = (
    f"fit -c configs/quickstart.yaml --trainer.devices {processes} --trainer.accelerator cpu --trainer.max_epochs 2"
)
done = subprocess.run([sys.executable, "-m", "cli", *command.split()], capture_output=True, text=True)
print("descent", command)
print(done.stdout)

# %%
history("runs/quickstart")[["step", "train/loss", "val/accuracy"]]

# %% [markdown]
# With one process an epoch has 20 steps of 64 images, with two it has 10 steps of 2 × 64. On a cluster: `--trainer.num_nodes`,
# SLURM's signal saves and requeues.
