#!/bin/sh
# Git's hook before a commit, which `make hooks` puts into its place: pre-commit, of the .venv of this clone or worktree.
if [ ! -x .venv/bin/pre-commit ]; then
    echo "not committed: the checks are in .venv, which is not here ($PWD). Make it: make setup" >&2
    exit 1
fi
exec .venv/bin/pre-commit hook-impl --config .pre-commit-config.yaml --hook-type pre-commit \
    --hook-dir "$(dirname "$0")" -- "$@"
