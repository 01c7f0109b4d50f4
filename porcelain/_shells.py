"""Completion scripts for shells, made from the table of commands and from the parsers."""

from typing import Any, NamedTuple

from replican import commands
from replican.plumbing._front.params import GLOBALS, Command, Parameter, parameters


class Syntax(NamedTuple):
    """What can follow ``replican NAME`` (a subcommand's name is ``remote add``): its parameters and subcommands."""

    name: str
    summary: str
    parameters: list[Parameter]
    subcommands: list[str]

    @property
    def options(self) -> list[Parameter]:
        return [parameter for parameter in self.parameters if parameter.names]

    @property
    def arguments(self) -> list[Parameter]:
        return [parameter for parameter in self.parameters if not parameter.names]


def syntax() -> list[Syntax]:
    """The syntax of every command, in the order of the table."""
    return [one for row in commands.COMMANDS for one in syntax_of(row)]


def syntax_of(row: commands.CommandRow) -> list[Syntax]:
    """The syntax of a command, then of each of its subcommands."""
    module: Any = __import__(row.module, fromlist=["command"])
    subcommands: dict[str, Command] = getattr(module, "SUBCOMMANDS", {})
    own: Command | None = getattr(module, "command", None)
    found = [Syntax(row.name, row.summary, parameters(own) if own else [], list(subcommands))]
    found += [Syntax(f"{row.name} {name}", "", parameters(function), []) for name, function in subcommands.items()]
    return found


def _kind(parameter: Parameter) -> str:
    """What completes the value of ``parameter``, as one word of the scripts: a source, or ``=`` and the choices."""
    if parameter.choices:
        return "=" + ",".join(parameter.choices)
    return parameter.complete or "none"


_SOURCES = {
    "ref": r"""{ echo HEAD; replican show-ref 2>/dev/null | sed 's/^[^ ]* //'; }""",
    "remote": r"""replican remote list 2>/dev/null | sed 's/[[:space:]].*//'""",
    "path": r"""replican ls-files -z 2>/dev/null | tr '\n\0' '?\n'""",
    "command": "printf '%s\\n' " + " ".join([row.name for row in commands.COMMANDS]),
}
"""How a shell finds the words of each kind, one a line; for ``file`` and ``directory`` each has its own way."""


def _tables(found: list[Syntax], indent: str) -> tuple[str, str, str, str]:
    """Branches of four ``case`` statements: words that may follow, options with a value, arguments, subcommands.

    The first and the last two go by the command, the second by ``command:option``.
    """
    words, values, arguments, below = [], [], [], []
    for one in found:
        names = [name for option in one.options for name in option.names]
        words.append(f"{indent}'{one.name}') echo '{' '.join(names)}' ;;")
        for option in one.options:
            if not option.is_flag:
                patterns = "|".join([f"'{one.name}:{name}'" for name in option.names])
                values.append(f"{indent}{patterns}) echo '{_kind(option)}' ;;")
        kinds = " ".join([_kind(argument) + ("*" if argument.multiple else "") for argument in one.arguments])
        arguments.append(f"{indent}'{one.name}') echo '{kinds}' ;;")
        if one.subcommands:
            below.append(f"{indent}'{one.name}') echo '{' '.join(one.subcommands)}' ;;")
    for option in GLOBALS:
        if not option.is_flag:
            patterns = "|".join([f"*':{name}'" for name in option.names])
            values.append(f"{indent}{patterns}) echo '{'directory' if option.metavar == 'DIR' else 'none'}' ;;")
    return "\n".join(words), "\n".join(values), "\n".join(arguments), "\n".join(below)


def _shared(found: list[Syntax]) -> str:
    """The functions that bash and zsh have in common: what they print is one line, or one word a line."""
    words, values, arguments, below = _tables(found, "        ")
    every = " ".join([name for option in GLOBALS for name in option.names] + ["-h", "--help"])
    sources = "\n".join([f"        {kind}) {script} ;;" for kind, script in _SOURCES.items()])
    return f"""\
_replican_commands='{" ".join([row.name for row in commands.COMMANDS])}'
_replican_global='{every}'

_replican_options() {{
    case $1 in
{words}
    esac
}}

_replican_value() {{
    case $1 in
{values}
    esac
}}

_replican_arguments() {{
    case $1 in
{arguments}
    esac
}}

_replican_subcommands() {{
    case $1 in
{below}
    esac
}}

_replican_words() {{
    case $1 in
        '='*) printf '%s\\n' "${{1#=}}" | tr ',' '\\n' ;;
{sources}
    esac
}}

# Sets command, kind and wanted from the words before the cursor: what kind of word belongs there, if not an option.
_replican_look() {{
    local word value ended='' taken=0 subcommands
    command='' kind='command' expects=''
    for word in "$@"; do
        if [ -n "$expects" ]; then
            expects=''
        elif [ -n "$ended" ]; then
            taken=$((taken + 1))
        elif [ "$word" = -- ]; then
            ended=1
        elif [ "${{word#-}}" != "$word" ] && [ "$word" != - ]; then
            value=$(_replican_value "$command:$word")
            if [ -n "$value" ]; then expects=$value; fi
        elif [ -z "$command" ]; then
            command=$word
        elif [ "$taken" = 0 ] && subcommands=$(_replican_subcommands "$command") && [ -n "$subcommands" ]; then
            command="$command $word"
        else
            taken=$((taken + 1))
        fi
    done
    if [ -n "$expects" ]; then
        kind=$expects
    elif [ -n "$command" ]; then
        subcommands=$(_replican_subcommands "$command")
        if [ -n "$subcommands" ]; then
            kind="=$(printf '%s' "$subcommands" | tr ' ' ',')"
        else
            kind=none
            for word in $(_replican_arguments "$command" | tr '*' '+'); do
                kind=${{word%+}}
                if [ "$taken" = 0 ] || [ "$kind" != "$word" ]; then taken=0; break; fi
                taken=$((taken - 1))
                kind=none
            done
        fi
    fi
}}
"""


def bash(found: list[Syntax]) -> str:
    """The script for bash."""
    return f"""\
# bash completion for replican; made by: replican completion bash
{_shared(found)}
_replican() {{
    local command='' kind='' expects='' wanted=''
    local current=${{COMP_WORDS[COMP_CWORD]}}
    local IFS=$' \\t\\n'
    _replican_look "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"
    COMPREPLY=()
    if [[ -z $expects && $current == -* ]]; then
        COMPREPLY=($(compgen -W "$(_replican_options "$command") $_replican_global" -- "$current"))
        return
    fi
    IFS=$'\\n'
    case $kind in
        file) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")) ;;
        directory) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$current")) ;;
        none) ;;
        *)
            [[ $kind == path ]] && compopt -o filenames 2>/dev/null
            while read -r wanted; do
                [[ $wanted == "$current"* ]] && COMPREPLY+=("$wanted")
            done < <(_replican_words "$kind")
            ;;
    esac
}}

complete -F _replican replican
"""


def zsh(found: list[Syntax]) -> str:
    """The script for zsh."""
    return f"""\
#compdef replican
# zsh completion for replican; made by: replican completion zsh
{_shared(found)}
_replican() {{
    local command kind expects
    local current=${{words[CURRENT]}}
    _replican_look "${{(@)words[2,CURRENT-1]}}"
    if [[ -z $expects && $current == -* ]]; then
        compadd -- ${{=$(_replican_options "$command")}} ${{=_replican_global}}
        return
    fi
    case $kind in
        (file) _files ;;
        (directory) _files -/ ;;
        (none) ;;
        (path) compadd -f -- ${{(f)"$(_replican_words path)"}} ;;
        (*) compadd -- ${{(f)"$(_replican_words "$kind")"}} ;;
    esac
}}

if [ "$funcstack[1]" = _replican ]; then
    _replican "$@"
else
    compdef _replican replican
fi
"""


def fish(found: list[Syntax]) -> str:
    """The script for fish."""
    lines = [
        "# fish completion for replican; made by: replican completion fish",
        "function __replican_named",
        "    # the words so far that are neither options nor the values of global ones",
        "    set -l skip 0",
        "    for word in (commandline -opc)[2..-1]",
        "        if test $skip = 1",
        "            set skip 0",
        "            continue",
        "        end",
        "        switch $word",
        f"            case {' '.join([name for option in GLOBALS if not option.is_flag for name in option.names])}",
        "                set skip 1",
        "            case '-*'",
        "            case '*'",
        "                printf '%s\\n' $word",
        "        end",
        "    end",
        "end",
        "function __replican_is",
        "    set -l named (__replican_named)",
        '    test (count $named) -ge (count $argv); and test "$named[1.."(count $argv)"]" = "$argv"',
        "end",
        "function __replican_bare",
        "    test (count (__replican_named)) -eq 0",
        "end",
        "complete -c replican -f",
    ]
    every = "complete -c replican"
    lines += [f"{every} -n __replican_bare -a {row.name} -d {_fish_quote(row.summary)}" for row in commands.COMMANDS]
    lines += [f"{every}{_fish_option(option)}" for option in GLOBALS]
    for one in found:
        when = f"{every} -n '__replican_is {one.name}'"
        lines += [f"{when}{_fish_option(option)}" for option in one.options]
        if one.subcommands:
            alone = f"'__replican_is {one.name}; and test (count (__replican_named)) -eq 1'"
            lines.append(f"{every} -n {alone} -a '{' '.join(one.subcommands)}'")
        for argument in one.arguments:
            words = _fish_words(argument)
            if words:
                lines.append(f"{when}{words}")
    return "\n".join(lines) + "\n"


def _fish_option(option: Parameter) -> str:
    names = [f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}" for name in option.names]
    value = "" if option.is_flag else " -x" + (_fish_words(option) or "")
    return "".join(names) + value + f" -d {_fish_quote(option.help)}"


def _fish_words(parameter: Parameter) -> str:
    if parameter.choices:
        return f" -a {_fish_quote(' '.join(parameter.choices))}"
    if parameter.complete == "directory" or parameter.metavar == "DIR":
        return " -a '(__fish_complete_directories)'"
    if parameter.complete == "file":
        return " -F"
    if parameter.complete in _SOURCES:
        return f" -a {_fish_quote('(sh -c ' + _fish_quote(_SOURCES[parameter.complete]) + ')')}"
    return ""


def _fish_quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
