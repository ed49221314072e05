"""`descent completion bash|zsh`: a script that makes the shell complete commands, options and presets.

For bash, once, in ~/.bashrc:   eval "$(descent completion bash)"
For zsh, in ~/.zshrc:           eval "$(descent completion zsh)"
"""

import sys

from commands.completions import completions
from commands.light_parser import LightParser

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
    """Print the script of a shell, or, as the scripts ask, what can stand at the end of a command line.

    Args:
        args: `["bash"]` or `["zsh"]`; or `--` and the words after `descent`, the last of them unfinished.

    Raises:
        SystemExit: With 2 for another shell.
    """
    if args[:1] == ["--"]:
        sys.stdout.writelines(f"{word}\n" for word in completions(args[1:] or [""]))
        return
    about, _, usage = (__doc__ or "").partition(": ")[2].partition("\n\n")
    parser = LightParser("descent completion", f"Prints {about}", epilog=" ".join(usage.split("\n")))
    parser.add_argument("shell", choices=SCRIPTS)
    print(SCRIPTS[parser.parse_args(args).shell], end="")
