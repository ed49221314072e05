"""What happens with optimizers, schedules and data that need more than an ordinary step."""

from tests.descent.training.features.sweep import Case

LBFGS = "--model.optimizer torch.optim.LBFGS --model.optimizer.lr 0.1 --trainer.gradient_clip_val null"
CHAIN = """--model.scheduler '{"class_path": "%s", "init_args": {"schedulers": [{"class_path": \
"torch.optim.lr_scheduler.LinearLR"}, {"class_path": "torch.optim.lr_scheduler.ExponentialLR", "init_args": {"gamma": \
0.5}}]%s}}'"""

OTHERS: dict[str, list[Case]] = {
    "LBFGS": [
        Case(
            f"{LBFGS} --model.channels_last false",
            "works: each step evaluates the batch up to 20 times, and train/loss is the mean of all evaluations",
        ),
        Case(LBFGS),
        Case(f"{LBFGS} --model.channels_last false --trainer.accumulate_grad_batches 2"),
        Case(f"{LBFGS.partition(' --trainer')[0]} --model.channels_last false --trainer.gradient_clip_val 1"),
    ],
    "Combined": [
        Case(
            CHAIN % ("lightning_modules.schedulers.Combined", ', "interval": "epoch"'),
            "torch's ChainedScheduler, or with `milestones` its SequentialLR",
            lambda o: abs(o.trainer.optimizers[0].param_groups[0]["lr"] - 0.001 * 0.5 * (1 / 3 + 2 / 15)) < 1e-9,
            shown="--model.scheduler combined.yaml",
        )
    ],
    "ChainedScheduler": [
        Case("--model.scheduler torch.optim.lr_scheduler.ChainedScheduler"),
        Case(
            CHAIN % ("torch.optim.lr_scheduler.SequentialLR", ', "milestones": [1]'),
            shown="--model.scheduler sequential.yaml",
        ),
    ],
    "drop_last": [
        Case(
            "--data.drop_last false --trainer.limit_train_batches 1.0 --data.batch_size 400",
            "the last, smaller batch is trained on too",
            lambda o: o.steps == 4,
        ),
        Case(
            "--data.drop_last false --trainer.limit_train_batches 1.0 --data.batch_size 646 --model.network "
            "tests.descent.training.features.networks.Normed",
            shown="--data.drop_last false --data.batch_size 646 --model.network mine.WithBatchNorm1d",
        ),
    ],
}
