#!/bin/bash
# How long `kvmnet status` takes on a busy machine, beside what people use instead of it: 1000 guests on four networks,
# 500 processes that have two taps open each, a MAC and two addresses behind every tap.
#
#   sudo benches/status.sh [TAPS] [PROCESSES]
#
# KVMNET_BIN names the directory with the programs; without it they are built. All of it happens in network, mount
# and PID namespaces of its own, and ends with them.
set -euo pipefail

taps=${1:-1000} processes=${2:-500}
readonly RUNS=21 NETWORKS=4

if [ -z "${KVMNET_INSIDE-}" ]; then
    cd "$(dirname "$0")/.."
    if [ -z "${KVMNET_BIN-}" ]; then
        cargo build --quiet --release --bins
        KVMNET_BIN=${CARGO_TARGET_DIR:-target}/x86_64-unknown-linux-gnu/release
    fi
    KVMNET_INSIDE=1 KVMNET_BIN=$(realpath "$KVMNET_BIN") \
        exec unshare --net --mount --pid --fork --kill-child --mount-proc "$0" "$taps" "$processes"
fi

bin=$KVMNET_BIN
unset KVMNET_INSIDE KVMNET_BIN
mount -t tmpfs none /run
export KVMNET_CONFIG=/run/kvmnet.conf
{
    echo 'mode = "routed"'
    for number in $(seq 1 $((NETWORKS - 1))); do
        printf '[network.n%d]\ntaps = ["n%d.*"]\nmode = "routed"\nbridge = "br%d"\naddress = "10.0.%d.3/24"\n' \
            "$number" "$number" "$number" "$((100 + number))"
    done
} > "$KVMNET_CONFIG"

ip link set lo up
# The default route is the uplink.
ip link add eth3 type veth peer name far
ip link set far up
ip addr add 192.168.1.230/24 dev eth3
ip link set eth3 up
ip route add default via 192.168.1.1

# Each process opens its taps as QEMU does, and is called as it is.
perl -e '
    use strict;
    my ($taps, $processes, $networks) = @ARGV;
    $^F = 1 << 20;  # open files stay open over exec
    my @open;
    for my $process (0 .. $processes - 1) {
        my $pid = fork // die;
        if (!$pid) {
            for (my $tap = $process; $tap < $taps; $tap += $processes) {
                open(my $file, "+<", "/dev/net/tun") or die "/dev/net/tun: $!";
                my $name = "n" . $tap % $networks . "." . $tap;
                # TUNSETIFF, IFF_TAP | IFF_NO_PI
                ioctl($file, 0x400454ca, pack("Z16 s x14", $name, 0x1002)) or die "$name: $!";
                push @open, $file;
            }
            exec {"perl"} "qemu-system-x86_64", "-e", "sleep", "--", "-name", "guest=vm$process";
        }
        print "$pid\n";
    }' "$taps" "$processes" "$NETWORKS" > /run/pids
until [ "$(ip -o link show type tun | wc -l)" = "$taps" ]; do sleep 0.1; done

for tap in $(seq 0 $((taps - 1))); do
    name=n$((tap % NETWORKS)).$tap
    "$bin/qemu-ifup" "$name"
    mac=$(printf '52:54:00:00:%02x:%02x' $((tap / 256)) $((tap % 256)))
    echo "fdb add $mac dev $name master dynamic" >> /run/fdb
    # Permanent ones, because the others have a limit that all namespaces of the machine share.
    {
        echo "neigh add 10.0.$((100 + tap % NETWORKS)).$((tap / NETWORKS % 250 + 4)) lladdr $mac dev br$((tap % NETWORKS)) nud permanent"
        echo "neigh add fe80::5054:ff:fe00:$(printf '%x' "$tap") lladdr $mac dev br$((tap % NETWORKS)) nud permanent"
    } >> /run/neigh
done
bridge -batch /run/fdb
ip -batch /run/neigh

# The median of many runs of a command, in microseconds.
measure() {
    local begin end
    for _ in $(seq $RUNS); do
        begin=${EPOCHREALTIME/./}
        "$@" > /dev/null
        end=${EPOCHREALTIME/./}
        echo $((end - begin))
    done | sort -n | sed -n "$((RUNS / 2 + 1))p"
}

peers() {
    ip -s link show
    bridge fdb show
    ip neigh show
}

show() { printf '%-44s %8.1f ms\n' "$1" "$(bc -l <<< "$2 / 1000")"; }
ratio() { printf '%-44s %8.2f\n' "$1" "$(bc -l <<< "$2 / $3")"; }

status() { "$bin/kvmnet" status; }
json() { "$bin/kvmnet" status --json; }
links() { ip -s link show; }
fdb() { bridge fdb show; }

guests=$("$bin/kvmnet" status --json | grep -c '"tap":')
named=$("$bin/kvmnet" status --json | grep -c '"vm": "vm')
echo "$guests guests, $named with their VM's name, $processes processes, $NETWORKS networks; medians of $RUNS runs"
# One after the other, so that what else the machine does meets all of them.
text=$(measure status)
data=$(measure json)
links_time=$(measure links)
fdb_time=$(measure fdb)
all=$(measure peers)
show 'kvmnet status' "$text"
show 'kvmnet status --json' "$data"
show 'ip -s link show' "$links_time"
show 'bridge fdb show' "$fdb_time"
show 'the two, and ip neigh show' "$all"
ratio 'kvmnet status / the three' "$text" "$all"

while read -r pid; do kill "$pid"; done < /run/pids
[ "$guests" = "$taps" ] && [ "$named" = "$taps" ] && [ "$text" -lt 100000 ]
