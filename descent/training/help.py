"""Help texts of all commands and of each training command, at most 100 columns wide."""

USAGE = """\
usage: descent COMMAND [options]

Train and compare:
  fit            train: a config names the network, loss, optimizer, schedule and data
  compare        find out which loss, optimizer, schedule, … is best, and how certain that is
  find-lr        find a learning rate by a range test: a figure, and a config for fit -c
  profile        show where the time of a training step goes, and what would make it faster
  verify-resume  check on your setup that a killed and resumed run gives identical results
  replay         repeat a step that gave NaN or Inf, from the file that callbacks.BlackBox wrote

Use a trained network:
  test           compute a checkpoint's metrics on the test data
  validate       compute a checkpoint's metrics on the validation data
  evaluate       report how good a checkpoint is on labelled images or the test data
  predict        classify with a checkpoint: your own images (--images), or the test data
  embed          write the features of images, for searches and classifiers of your own
  export         write a checkpoint as one file for other programs: ONNX or torch.export
  inspect        describe a checkpoint, and verify that it is undamaged

Look something up:
  guide          say which loss suits which task, and why
  presets        list the presets: everything that has a short name
  show           draw learning curves of runs, a schedule, or all losses, optimizers, schedules
  completion     print a script that lets the shell complete commands, options and presets

descent COMMAND --help describes a command; a first run: descent fit -c configs/quickstart.yaml
"""

COMMON = """\
  -c FILE                 config; with several, later ones override earlier ones. A preset is looked
                          up in the folder of the file that names it, in the working folder, then
                          among the shipped ones (descent presets)
  --model.network PRESET  also --model.loss, --model.optimizer, --model.scheduler: a preset or a
                          class path; set its arguments with a dot: --model.optimizer.lr 0.01
  --data PRESET           data; set its arguments with a dot: --data.batch_size 256
  --trainer.KEY VALUE     Lightning's Trainer: max_epochs, precision, gradient_clip_val,
                          accelerator, devices, …
  --seed_everything N     seed of all random numbers (default 0)
  --print_config          print the whole config with all defaults, and exit
  --model.help CLASS      list the arguments of a class; also --data.help CLASS
  --help_all              list every option
"""
"""The options that all training commands share."""

_CHECKPOINT = """\
  --ckpt_path PATH        a checkpoint, a run's folder (its best), or an experiment's folder (its
                          newest run); the run's own config is used unless -c names another
"""

_OF_COMMANDS = {
    "fit": """\
usage: descent fit -c CONFIG [options]
       descent fit --ckpt_path RUN [options]     resume a run from its last checkpoint

Trains, and writes into ROOT/EXPERIMENT/N: config.yaml, metrics.csv, TensorBoard events,
checkpoints/best.ckpt and last.ckpt, figures/.

  --experiment NAME       name of the experiment (default: that of the config file)
  --ckpt_path PATH        a checkpoint, a run's folder, an experiment's folder (its newest run), or
                          last or best with -c RUN/config.yaml. Without -c the run's config is used
  --model.weights PATH    start a new run from the weights of a run, or of a file of torch or timm
  --target NAME=VALUE     end the run when a validation metric has reached a value, and tell in how
                          many seconds and samples: val/accuracy=0.90
  --preflight false       do not check the first batch for mistakes
  --compile true          compile network and loss with torch.compile
  --checkpoint.monitor NAME   metric that selects best.ckpt (default val/loss)
""",
    "validate": f"""\
usage: descent validate --ckpt_path PATH [options]

Computes a checkpoint's metrics on the validation data.

{_CHECKPOINT}""",
    "test": f"""\
usage: descent test --ckpt_path PATH [options]

Computes a checkpoint's metrics on the test data, which is used for nothing else.

{_CHECKPOINT}""",
    "predict": f"""\
usage: descent predict --ckpt_path PATH [options]

Classifies the test images with a checkpoint; writes predictions.csv into the run's folder.
For your own images: --images FOLDER_OR_FILES...; see descent predict --images --help.

{_CHECKPOINT}""",
    "show_schedule": """\
usage: descent show schedule -c CONFIG [options]

Draws the learning rate of each parameter group, the momentum and the weight decay of the run that
descent fit would start with the same options, without training. With -c RUN/config.yaml or
--ckpt_path RUN it draws that run's logged learning rate beside them.

  --validation CSV        replay the monitored column of this table to a plateau schedule, e.g. of
                          another run's metrics.csv
  --out FOLDER            where to write (default: the run's figures/, else the working folder)
""",
    "find_lr": """\
usage: descent find-lr -c CONFIG [options]

Trains copies at rising learning rates, then shortly at some rates, which held-out batches judge;
the result is for the length and schedule of the config's run (at most 195 steps). Writes
lr_finder.png, .csv, .json and lr_finder.yaml, which is given after the config:
descent fit -c CONFIG -c .../lr_finder.yaml

  --confirm true          add up to four longer runs around the rate that was found (400 steps)
  --run_steps N           steps of the run that the rate is for (default: those of the config's run)
  --method                how to choose: short_runs (default), or from the range test alone:
                          nine_tenths, steepest, valley, minimum_tenth
  --low, --high           the range (default 1e-6 to 10); the test stops when the loss diverges
  --steps N, --repeats N  optimizer steps of a pass of the range test, number of passes (60, 1)
  --mode                  exponential or linear spacing
  --ckpt_path PATH        start from the weights of a checkpoint
  --json true             print the numbers as JSON, for programs
""",
    "profile": """\
usage: descent profile -c CONFIG [options]

Trains copies for some steps and shows where the time of a step goes, what share of the machine's
peak performance it reaches, and which changes make it faster; each is tried. Writes profile.json
and profile.png.

  --steps N, --seconds S  measure N steps (default 50), at most S seconds (default 5)
  --tries false           do not try the changes
  --out FOLDER            where to write (default: the run's folder)
  --json true             print the numbers as JSON, for programs
""",
}
HELP = {command: text + COMMON for command, text in _OF_COMMANDS.items()}
"""The text of `descent COMMAND --help` by command."""
