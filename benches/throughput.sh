#!/bin/bash
# What a network costs guests among themselves: TCP and small frames between two taps, on a bridge made by hand and on kvmnet's, with
# and without `filter = true`, in one run and in turns. Where "a plain bridge again" is as far from 1 as the others, they are within noise.
#
#   sudo benches/throughput.sh
#
# It takes a minute and a half, and two processors. All of it happens in network and mount namespaces of its own.
set -euo pipefail

cd "$(dirname "$0")/.."
exec cargo test --quiet --locked --release --test throughput
