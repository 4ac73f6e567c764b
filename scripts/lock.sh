#!/bin/sh
# Pins what pyproject.toml names, and all that it pulls in, with the hash of every file, in the
# requirements*.txt files. Present pins are kept where the ranges allow it.
# Usage: scripts/lock.sh UV [OPTION...]     such as --upgrade, or --upgrade-package NAME
set -eu

# Usage: compile FILE HEADER ARGUMENT...; without hashes: FILE is written whole or not at all.
compile() {
    file=$1
    header=$2
    shift 2
    grep -v '^-r ' "$file" > "$pins" || true  # uv keeps the pins that it finds in its output file
    # shellcheck disable=SC2086
    "$uv" pip compile --quiet --universal --generate-hashes --custom-compile-command "make lock" \
        --output-file "$pins" $options "$@" > /dev/null
    printf '%s\n' "$header" | cat - "$pins" > "$file"
}

uv=$1
shift
options=$*
pins=$(mktemp)
trap 'rm -f "$pins"' EXIT

compile requirements.txt \
    "# What the app needs; \"via cnnviz\" marks what it asks for itself." \
    pyproject.toml --extra cpu
compile requirements-ray.txt "-r requirements.txt" \
    --group pyproject.toml:ray --constraints requirements.txt
compile requirements-dev.txt "-r requirements.txt" \
    --group pyproject.toml:dev --constraints requirements.txt --constraints requirements-ray.txt
compile requirements-gpu.txt "# For Linux with an NVIDIA GPU, in place of requirements.txt." \
    pyproject.toml --extra gpu --constraints requirements.txt
