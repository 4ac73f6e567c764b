#!/bin/sh
# Pins what pyproject.toml names, and all that it pulls in, into the requirements*.txt files.
# Usage: scripts/lock.sh UV
set -eu

compile() {
    "$uv" pip compile --quiet --universal --custom-compile-command "make lock" "$@"
}

# A file is written whole or not at all: the first line, then the pins.
write() {
    printf '%s\n' "$2" | cat - "$pins" > "$1"
}

uv=$1
pins=$(mktemp)
trap 'rm -f "$pins"' EXIT

compile pyproject.toml --extra cpu > "$pins"
write requirements.txt "# What the app needs; \"via cnnviz\" marks what it asks for itself."
compile --group pyproject.toml:dev --constraints requirements.txt > "$pins"
write requirements-dev.txt "-r requirements.txt"
compile --group pyproject.toml:ray --constraints requirements.txt > "$pins"
write requirements-ray.txt "-r requirements.txt"
compile pyproject.toml --extra gpu --constraints requirements.txt > "$pins"
write requirements-gpu.txt "# For Linux with an NVIDIA GPU, in place of requirements.txt."
