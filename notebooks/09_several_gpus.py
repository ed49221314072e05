# %% [markdown]
# # Several GPUs
# The only option you need is `--trainer.devices 4`. Each process trains on its own share of every epoch, gradients are averaged, and
# metrics cover all processes. The batch size is per process, so a step with four processes uses four times as many images: search
# for the learning rate again (`descent find-lr` with the same devices).
#
# A notebook is a single process, so this cell starts the command; two CPU processes replace two GPUs.

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
# With one process an epoch has 20 steps of 64 images, with two processes 10 steps of 2 × 64 images. On a cluster use
# `--trainer.num_nodes`; when SLURM signals the end of the job's time, the run is saved and requeued.
