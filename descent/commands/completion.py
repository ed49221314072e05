"""`descent completion`: a script with which the shell completes commands, options and presets."""

import sys

from descent.commands.candidates import candidates
from descent.commands.parser import CommandParser

USAGE = """\
usage: descent completion bash|zsh

Prints a script with which the shell completes commands, options and presets.

  for bash, once, in ~/.bashrc:               eval "$(descent completion bash)"
  for zsh, once, in ~/.zshrc after compinit:  eval "$(descent completion zsh)"
"""
# The shells call `descent completion -- WORDS`. Folders and option prefixes (ending in "/" or ".") get no space.
BASH = """\
_descent() {
    local IFS=$'\\n'
    COMPREPLY=($(descent completion -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[./] ]] && compopt -o nospace
}
complete -F _descent descent
"""
ZSH = """\
_descent() {
    local -a found open closed
    found=("${(@f)$(descent completion -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    open=("${(@M)found:#*[./]}")
    closed=("${(@)found:#*[./]}")
    compset -P '*='
    (( ${#open} )) && compadd -S '' -- "${open[@]}"
    (( ${#closed} )) && compadd -- "${closed[@]}"
}
compdef _descent descent
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH}


def main(args: list[str]) -> None:
    """Print the script of a shell; or, when the script asks, the candidates for the last word.

    Args:
        args: `["bash"]` or `["zsh"]`; or `--` and the words after `descent`, the last of them unfinished.
    """
    if args[:1] == ["--"]:
        sys.stdout.writelines(f"{word}\n" for word in candidates(args[1:] or [""]))
        return
    parser = CommandParser("completion", USAGE)
    parser.add_argument("shell", choices=SCRIPTS)
    print(SCRIPTS[parser.parse_args(args).shell], end="")
