"""Allowed ranges of arguments by name, where the class is not ours or does not check them itself."""

from __future__ import annotations

COUNT, NUMBER, FACTOR, SHARE, COEFFICIENT = "≥ 1", "≥ 0", "> 0", "[0, 1]", "[0, 1)"
BATCHES = "[0, 1] or whole ≥ 0"
"""A share of an epoch's batches (a number with a decimal point), or a number of batches."""

COMMAND = {"seed_everything": "[0, 4294967295]"}

TRAINER = {
    "accumulate_grad_batches": COUNT,
    "check_val_every_n_epoch": COUNT,
    "fast_dev_run": NUMBER,
    "gradient_clip_val": NUMBER,
    "limit_predict_batches": BATCHES,
    "limit_test_batches": BATCHES,
    "limit_train_batches": BATCHES,
    "limit_val_batches": BATCHES,
    "log_every_n_steps": NUMBER,
    "max_epochs": "≥ -1",
    "max_steps": "≥ -1",
    "min_epochs": NUMBER,
    "min_steps": NUMBER,
    "num_nodes": COUNT,
    "num_sanity_val_steps": "≥ -1",
    "overfit_batches": BATCHES,
    "reload_dataloaders_every_n_epochs": NUMBER,
    "val_check_interval": "(0, 1] or whole ≥ 1",
}
"""Arguments of the Trainer."""

METHODS = {
    "find_lr": {
        "low": FACTOR,
        "high": FACTOR,
        "steps": "[20, 10000]",
        "repeats": "[1, 100]",
        "optimizer": NUMBER,
        "confirm_steps": "[20, 10000]",
        "run_steps": COUNT,
    },
    "profile": {"steps": "[3, 10000]", "seconds": FACTOR},
}
"""Options of commands that are methods of our Trainer."""

OPTIMIZER = {
    "lr": NUMBER,
    "weight_decay": NUMBER,
    "eps": NUMBER,
    "betas": COEFFICIENT,
    "momentum": COEFFICIENT,
    "dampening": SHARE,
    "alpha": COEFFICIENT,
    "rho": COEFFICIENT,
    "lambd": NUMBER,
    "t0": NUMBER,
    "lr_decay": NUMBER,
    "initial_accumulator_value": NUMBER,
    "momentum_decay": NUMBER,
    "warmup_steps": NUMBER,
    "weight_lr_power": NUMBER,
    "r": NUMBER,
    "etas": FACTOR,
    "step_sizes": FACTOR,
    "beta2_decay": "≤ 0",
    "d": COUNT,
    "clip_threshold": FACTOR,
    "max_grad_norm": FACTOR,
    "ns_steps": "[1, 99]",
    "safety_factor": FACTOR,
    "fallback_lr_scale": NUMBER,
    "max_iter": COUNT,
    "max_eval": COUNT,
    "history_size": COUNT,
    "tolerance_grad": NUMBER,
    "tolerance_change": NUMBER,
    "sgd_momentum": COEFFICIENT,
    "head_lr": FACTOR,
    "bias_lr": FACTOR,
}
"""Arguments of optimizers of torch, timm, schedulefree and ours."""

SCHEDULER = {
    "step_size": COUNT,
    "milestones": NUMBER,
    "gamma": FACTOR,
    "factor": SHARE,
    "start_factor": "(0, 1]",
    "end_factor": SHARE,
    "total_iters": COUNT,
    "power": FACTOR,
    "T_max": COUNT,
    "T_0": COUNT,
    "T_mult": COUNT,
    "eta_min": NUMBER,
    "patience": NUMBER,
    "threshold": NUMBER,
    "cooldown": NUMBER,
    "min_lr": NUMBER,
    "eps": NUMBER,
    "base_lr": NUMBER,
    "max_lr": FACTOR,
    "step_size_up": COUNT,
    "step_size_down": COUNT,
    "total_steps": COUNT,
    "epochs": COUNT,
    "steps_per_epoch": COUNT,
    "pct_start": "(0, 1)",
    "base_momentum": COEFFICIENT,
    "max_momentum": COEFFICIENT,
    "div_factor": FACTOR,
    "final_div_factor": FACTOR,
    "last_epoch": "≥ -1",
}
"""Arguments of torch's schedulers; ours check their own."""

ANY = {"num_workers": "[0, 512]"}
"""Arguments of classes of any package."""

LOSS = {"label_smoothing": SHARE, "delta": FACTOR, "beta": NUMBER, "p": COUNT, "eps": FACTOR}
"""Arguments of torch's losses."""

CALLBACK = {
    "patience": NUMBER,
    "min_delta": NUMBER,
    "decay": SHARE,
    "update_every_n_steps": COUNT,
    "update_starting_at_step": NUMBER,
    "update_starting_at_epoch": NUMBER,
    "swa_lrs": FACTOR,
    "swa_epoch_start": "[0, 1] or whole ≥ 1",
    "annealing_epochs": NUMBER,
    "save_top_k": "≥ -1",
    "every_n_train_steps": NUMBER,
    "every_n_epochs": NUMBER,
    "init_val": COUNT,
    "max_trials": COUNT,
    "steps_per_trial": COUNT,
    "min_lr": FACTOR,
    "max_lr": FACTOR,
    "num_training_steps": COUNT,
    "early_stop_threshold": FACTOR,
    "refresh_rate": NUMBER,
    "max_depth": "≥ -1",
    "amount": "[0, 1] or whole ≥ 0",
    "window_size": COUNT,
    "unfreeze_backbone_at_epoch": NUMBER,
    "backbone_initial_ratio_lr": FACTOR,
    "backbone_initial_lr": FACTOR,
    "initial_denom_lr": FACTOR,
}
"""Arguments of Lightning's callbacks; ours check their own."""
