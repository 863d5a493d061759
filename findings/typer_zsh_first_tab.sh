#!/usr/bin/env bash
# typer 0.29.2: what `--install-completion` installs for zsh completes nothing at the first Tab of every session.
#
# Guess: a shell that was told to complete does so at any Tab.
# Seen: zsh 5.9 loads ~/.zfunc/_PROGRAM at the first Tab and runs it as the function that completes; the script only
# defines another function and names it with `compdef`, so that Tab rings the bell and the second one completes. With the
# script's function called where it is loaded so ($zsh_eval_context ends with "loadautofunc"; Click's own script does
# that) the first Tab completes. bash and fish complete at the first Tab.
# bmd_edge/cli/completion.py adds the call. Needs zsh. Exit 0: still so. Exit 1: changed.
set -euo pipefail
command -v zsh > /dev/null || { echo "install zsh first" >&2; exit 2; }
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check typer==0.29.2
cat > "$place/env/bin/greeter" <<PY
#!$place/env/bin/python
import typer

app = typer.Typer()


@app.command()
def hello():
    """Say hello."""


@app.command()
def bye():
    """Say goodbye."""


app()
PY
chmod +x "$place/env/bin/greeter"
export HOME=$place PATH=$place/env/bin:$PATH TERM=dumb
unset ZDOTDIR
zsh -c 'greeter --install-completion; true'
cat > "$place/tabs.py" <<'PY'
"""What three Tabs make of `greeter hel` in a new zsh."""

import os
import pty
import re

pid, terminal = pty.fork()
if pid == 0:
    os.execvp("zsh", ["zsh", "-i"])


def shown(pattern):
    text = b""
    while not (found := re.search(pattern, text)):
        text += os.read(terminal, 4096)
    return found[1].decode().strip()


keys = r"""show() { printf '<%s>' "line:$BUFFER"; BUFFER= }; zle -N show; bindkey '^X' show; printf '<%s>' ready"""
os.write(terminal, keys.encode() + b"\n")
shown(b"<(ready)>")
lines = []
for _ in range(3):
    os.write(terminal, b"greeter hel\t\x18")
    lines.append(shown(b"<line:(.*?)>"))
print(lines)
PY
before=$(python3 "$place/tabs.py")
echo "as installed:          $before"
printf '\n%s\n' 'if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _greeter_completion "$@"; fi' >> "$place/.zfunc/_greeter"
after=$(python3 "$place/tabs.py")
echo "with the call behind:  $after"
[ "$before" = "['greeter hel', 'greeter hello', 'greeter hello']" ]
[ "$after" = "['greeter hello', 'greeter hello', 'greeter hello']" ]
