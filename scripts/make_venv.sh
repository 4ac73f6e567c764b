#!/bin/sh
# Makes a virtual environment with the first supported Python on the PATH.
# Usage: scripts/make_venv.sh FOLDER     (PYTHON=... names one to use)
set -eu

fits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
without_venv=

for python in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
    "$python" -c "$fits" 2> /dev/null || continue
    if "$python" -c 'import ensurepip, venv' 2> /dev/null; then
        exec "$python" -m venv "$1"
    fi
    without_venv=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
done

if [ -n "$without_venv" ]; then
    echo "cnnviz: $without_venv is installed, but not its venv module." >&2
    echo "On Debian or Ubuntu: sudo apt install $without_venv-venv" >&2
else
    echo "cnnviz needs Python 3.11, 3.12 or 3.13; found none of them as ${PYTHON:-python3}." >&2
    echo "Install one (https://www.python.org/downloads/), or name yours: make PYTHON=/path/to/python3.12" >&2
fi
exit 1
