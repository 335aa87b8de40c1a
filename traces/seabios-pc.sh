#!/bin/sh
# Records traces/seabios-pc.db: SeaBIOS on pc with nothing to boot from (the guest that `vmdev record` runs by default).
set -eu
cd "$(dirname "$0")"
exec ../.venv/bin/vmdev record --force -o seabios-pc.db </dev/null
