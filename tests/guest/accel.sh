#!/bin/sh
# Says whether the tests' guests run under KVM or emulated: prints "kvm" or "tcg". That /dev/kvm is there does not tell:
# nested in another virtual machine it may open and then lack an instruction the guest needs, which shows as QEMU
# ending at once, or as a guest that hangs. So one guest is booted, for 15 seconds at most.
set -eu

if [ $# != 2 ]; then
    echo 'usage: tests/guest/accel.sh VMLINUZ INITRD' >&2
    exit 2
fi
kernel=$1 initrd=$2

# boots_under_kvm: whether a guest says that it is ready. Its agent's port is written to a file, so that looking needs
# no client.
boots_under_kvm() {
    qemu-system-x86_64 -accel kvm -cpu host -m 128 -nographic -nodefaults -no-user-config -no-reboot \
        -serial null -serial "file:$work/agent" -kernel "$kernel" -initrd "$initrd" \
        -append 'console=ttyS0 quiet mitigations=off' </dev/null >"$work/log" 2>&1 &
    qemu=$!
    ready=1
    for _ in $(seq 75); do
        if grep -qs '##READY##' "$work/agent"; then
            ready=0
            break
        fi
        kill -0 "$qemu" 2>/dev/null || break
        sleep 0.2
    done
    # A QEMU whose virtual processor is stuck in the kernel may not hear a gentler signal.
    kill -KILL "$qemu" 2>/dev/null || true
    wait "$qemu" 2>/dev/null || true
    qemu=
    return "$ready"
}

clean_up() {
    [ -z "$qemu" ] || kill -KILL "$qemu"
    rm -rf "$work"
}

if ! [ -w /dev/kvm ]; then
    echo tcg
    exit 0
fi

qemu='' work=$(mktemp -d)
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
if boots_under_kvm; then echo kvm; else echo tcg; fi
