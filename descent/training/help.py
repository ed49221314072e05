"""Help that fits a screen of 100 columns: for all commands, and for each."""

USAGE = """\
usage: descent COMMAND [options]

  fit            train: network, loss, optimizer, schedule and data as a config says
  validate       measure a checkpoint on the validation data
  test           measure a checkpoint on the test data
  predict        classify with a checkpoint: images of your own (--images), or the test data
  evaluate       how good a checkpoint is, on labelled images or the test data: a page, JSON, CSV
  export         a checkpoint as one file for other programs: ONNX or torch.export
  compare        which loss, optimizer, schedule, …, and how sure that is
  find-lr        search a learning rate by a range test: an image, and a config that fit -c takes
  profile        where a training step goes, what share of the machine's peak it reaches
  inspect        say what a checkpoint is, and verify it
  verify-resume  kill a short run of your setup, resume it, compare bit by bit with one left alone
  replay         repeat a step that was not finite, from the file that callbacks.BlackBox kept
  guide          which loss, for which task, and why
  presets        list what can be chosen by a short name
  show           draw what can be chosen, or the schedule of a run: descent show lists what
  completion     a script that makes the shell complete commands, options and presets

descent COMMAND --help tells more; a first run: descent fit -c configs/quickstart.yaml
"""

_COMMON = """\
  -c FILE                 config; several are laid over one another. A preset's path is looked up
                          beside the file that names it, in the working folder, then among the
                          shipped ones (descent presets)
  --model.network PRESET  likewise --model.loss, --model.optimizer, --model.scheduler: a preset or
                          a class path; an argument of it: --model.optimizer.lr 0.01
  --data PRESET           data; an argument of it: --data.batch_size 256
  --trainer.KEY VALUE     Lightning's Trainer: max_epochs, precision, gradient_clip_val,
                          accelerator, devices, …
  --seed_everything N     seed of every random choice (default 0)
  --print_config          print the whole config, defaults included, and exit
  --model.help CLASS      arguments of a class; likewise --data.help CLASS
  --help_all              every option
"""

HELP = {
    "fit": """\
usage: descent fit -c CONFIG [options]
       descent fit --ckpt_path RUN [options]     go on with a run where its last checkpoint is

Trains, and leaves in ROOT/EXPERIMENT/N: config.yaml, metrics.csv, TensorBoard events,
checkpoints/best.ckpt and last.ckpt, figures/.

"""
    + _COMMON
    + """\
  --experiment NAME       name of the experiment (default: that of the config file)
  --ckpt_path PATH        a checkpoint, a run's folder, an experiment's folder (its newest run), or
                          last or best with -c RUN/config.yaml. Without -c the run's config is used
  --preflight false       do not look at the first batch for mistakes
  --checkpoint.monitor NAME   metric that chooses best.ckpt (default val/loss)
""",
}
HELP["show_schedule"] = (
    """\
usage: descent show schedule -c CONFIG [options]

Draws learning rate (of every group), momentum and weight decay of the run that descent fit would
make with the same options, before a step is taken. With -c RUN/config.yaml or --ckpt_path RUN the
run's own rate is drawn beside it.

  --validation CSV        replay this table's column to a plateau, e.g. another run's metrics.csv
  --out FOLDER            where to write (default: the run's figures/, or else the working folder)
"""
    + _COMMON
)
for _command, _text in {
    "validate": "Measures a checkpoint on the validation data.",
    "test": "Measures a checkpoint on the test data, which nothing else opens.",
    "predict": "Classifies the test images with a checkpoint; writes predictions.csv into the run's folder.\n"
    "With --images FOLDER_OR_FILES...: images of your own; descent predict --images --help tells more.",
}.items():
    HELP[_command] = f"""\
usage: descent {_command} --ckpt_path PATH [options]

{_text}

  --ckpt_path PATH        a checkpoint, a run's folder (its best), or an experiment's folder (its
                          newest run); the run's own config is used unless -c names another
{_COMMON}"""
HELP["find_lr"] = (
    """\
usage: descent find-lr -c CONFIG [options]

Trains copies at rising learning rates and reads off which make the loss fall. Writes lr_finder.png,
.csv, .json and lr_finder.yaml, which goes on top of the config:
descent fit -c CONFIG -c .../lr_finder.yaml

  --low, --high           the range (default 1e-6 to 10); the test ends where the loss diverges
  --steps N, --repeats N  optimizer steps of a pass, number of passes (default 140, 3)
  --mode                  exponential or linear spacing
  --method                nine_tenths (default), steepest, valley or minimum_tenth: the pick
  --confirm true          train shortly at a third of the pick, the pick and three times the pick
  --ckpt_path PATH        start from the weights of a checkpoint
  --json true             print the numbers as JSON, for programs
"""
    + _COMMON
)
HELP["profile"] = (
    """\
usage: descent profile -c CONFIG [options]

Trains private copies for some steps and says where the time of a step goes, what share of
the machine's peak it reaches, and what to change, each change tried. Writes profile.json and
profile.png.

  --steps N, --seconds S  measure N steps (default 50), at most S seconds (default 5)
  --tries false           do not try the changes
  --out FOLDER            where to write (default: the run's folder)
  --json true             print the numbers as JSON, for programs
"""
    + _COMMON
)
