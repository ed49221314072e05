# %% [markdown]
# # Several GPUs
# **You will learn** what data-parallel training does, what stays the same and what changes with the number of processes. **Time:** 10
# minutes; the cells take less than a minute. You need no GPU: two CPU processes stand for two GPUs.
#
# ## What happens in a step
# Each of $N$ processes has a copy of the weights and gets its own $B$ images. The gradients are averaged over the processes,
#
# $$g = \frac{1}{N} \sum_{n=1}^{N} \frac{1}{B} \sum_{i=1}^{B} \nabla L(x_{n,i}),$$
#
# and every process takes the same step. It is a step on a batch of $N B$ images. The only option you need is `--trainer.devices 4`.
#
# **Question 1.** The digits have 1,293 training images, the batch size is 64. How many steps has an epoch with one process, how
# many with two?

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
# **Explanation.** A notebook is a single process, so the cell starts the command. `step` counts from 0 and shows the last step of the
# epoch: 9 and 19, so there are 10 steps of 2 × 64 images in an epoch; one process takes 20 steps of 64. Accuracy and loss are those of all
# images: the metrics are summed over the processes.
#
# **Question 2.** An epoch on two devices has half as many steps, each with a more exact gradient. Which setting must you look at again?
#
# **Explanation.** The learning rate. Half as many steps of the same length do not get as far; a gradient of twice as many images allows
# longer ones. Rules such as "twice the batch, twice the rate" are a beginning, `descent find-lr -c configs/quickstart.yaml` with the same
# `--trainer.devices` measures it.
#
# ## Exercises
# 1. You want the same batches on four devices as on one with `--data.batch_size 128`. What do you set?
# <details><summary>Answer</summary>
#
# The batch size is per process: `--trainer.devices 4 --data.batch_size 32`, with the same learning rate.
# </details>
#
# 2. A network with batch norm is trained on 8 devices with 4 images each. What goes wrong, and what mends it?
# <details><summary>Answer</summary>
#
# Each process computes mean and variance of its own 4 images: very noisy. `--trainer.sync_batchnorm true` computes them over all 32.
# </details>
#
# 3. Why is a run on 4 devices never exactly 4 times as fast?
# <details><summary>Answer</summary>
#
# After each step all gradients travel between the devices; the slowest process decides when the next step begins; and validation,
# checkpoints and starting up take their time too.
# </details>
#
# On a cluster use `--trainer.num_nodes`; when SLURM signals the end of the job's time, the run is saved and requeued.
# [Scaling](../docs/scaling.md) has the measurements.
