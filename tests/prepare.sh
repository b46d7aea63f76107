# shellcheck shell=sh
# What it takes to build kvmnet, to try it and to test it, in one place. install.sh and tests/run set $checkout to the
# project's folder and read this file.
#
# Root runs them, but a checkout mostly belongs to a person, who must not find files of root in it afterwards. So all
# that compiles or downloads runs as the *builder*: the checkout's owner.

# shellcheck disable=SC2034 # what the functions set is for those who read this file
: "${checkout:?}"

# die SENTENCE: the end, with the reason.
die() {
    echo "$0: $*" >&2
    exit 1
}

# step TEXT: what is being done now.
step() {
    printf '\n=== %s\n' "$*"
}

# find_builder: sets $builder and $builder_home. An owner unknown to this machine (a shared folder, a container) has no
# home that cargo could use, so there it is whoever runs this.
find_builder() {
    builder=$(id -un)
    builder_home=${HOME:-/root}
    owner=$(stat -c %U "$checkout")
    if [ "$(id -u)" = 0 ] && [ "$owner" != root ] && account "$owner" >/dev/null; then
        builder=$owner
        builder_home=$(account "$owner" | cut -d: -f6)
    fi
}

# account NAME: its line of passwd(5). busybox has no getent.
account() {
    if command -v getent >/dev/null; then getent passwd "$1"; else grep "^$1:" /etc/passwd; fi
}

# with_rust COMMAND...: runs it with the builder's Rust: their toolchain, their cache of crates. rustup keeps both in
# the home folder, and sudo knows neither that nor their PATH.
with_rust() {
    env HOME="$builder_home" PATH="$rust_folder:$PATH" "$@"
}

# as_builder COMMAND...: the same, as the builder.
as_builder() {
    if [ "$builder" = "$(id -un)" ]; then
        with_rust "$@"
    elif setpriv --help 2>&1 | grep -q reuid; then
        with_rust setpriv --reuid "$builder" --regid "$(id -g "$builder")" --init-groups -- "$@"
    else
        # busybox has another setpriv.
        with_rust su -s /bin/sh -c 'exec "$@"' -- "$builder" sh "$@"
    fi
}

# find_rust: whether there is a Rust new enough for Cargo.toml; sets $rust_folder to where its cargo is.
find_rust() {
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$checkout/Cargo.toml")
    for rust_folder in "$builder_home/.cargo/bin" "$(dirname "$(command -v cargo || echo /usr/bin/cargo)")" /usr/bin; do
        found=$(as_builder "$rust_folder/cargo" --version 2>/dev/null | cut -d' ' -f2)
        if [ "$(printf '%s\n' "$wanted" "${found:-0}" | sort -V | head -n 1)" = "$wanted" ]; then
            return 0
        fi
    done
    return 1
}

# rust_packages STAGE: Debian's packages of a Rust new enough. Debian 12's own is too old; it has a second one, made for
# building web browsers.
rust_packages() {
    candidate=$(apt-cache policy rustc | sed -n 's/^ *Candidate: *//p')
    if dpkg --compare-versions "${candidate:-0}" ge "$wanted"; then
        echo cargo rustc
        [ "$1" != test ] || echo rustfmt rust-clippy
    else
        echo cargo-web rustc-web
        [ "$1" != test ] || echo rustfmt-web rust-web-clippy
    fi
}

# programs STAGE: what the stage needs besides Rust, each with the Debian package it is in. The stages are build, try
# and test; each needs what the one before it needs, and more.
programs() {
    echo 'cc gcc'
    [ "$1" != build ] || return 0
    echo 'dnsmasq dnsmasq-base'
    echo 'ip iproute2'
    echo 'nft nftables'
    echo 'ping iputils-ping'
    echo 'qemu-system-x86_64 qemu-system-x86'
    echo 'tcpdump tcpdump'
    echo 'xz xz-utils' # the guest's kernel and its modules: Debian 12, 13
    echo 'zstd zstd'   # the guest's kernel: Debian 13
    [ "$1" != try ] || return 0
    echo 'conntrack conntrack'
    echo 'dhclient isc-dhcp-client'
    echo 'file file'
    echo 'fish fish' # completes what kvmnet takes, and so does zsh
    echo 'git git'
    echo 'iptables iptables' # a firewall of others
    echo 'dockerd docker.io' # and programs that have one
    echo 'ufw ufw'
    echo 'libvirtd libvirt-daemon'
    echo 'virsh libvirt-clients'
    echo 'dbus-daemon dbus'
    echo 'NetworkManager network-manager' # and one that manages interfaces
    echo 'connmand connman'
    echo 'firewalld firewalld'
    echo 'mandoc mandoc'
    echo 'sysctl procps' # the commands that kvmnet plan prints
    echo 'setcap libcap2-bin'
    echo 'setpriv util-linux'
    echo 'shellcheck shellcheck'
    echo 'strace strace'
    echo 'systemctl systemd'
    echo 'udevadm udev'
    echo 'zsh zsh'
}

# missing STAGE: the packages of what is not there, Rust aside.
missing() {
    programs "$1" | while read -r program package; do
        command -v "$program" >/dev/null || echo "$package"
    done
    # A static program needs the static C library. A compiler that has none answers with the bare name.
    case $(cc -print-file-name=libc.a 2>/dev/null) in */*) ;; *) echo libc6-dev ;; esac
    # In Debian 13 its networks are a package of their own.
    [ "$1" != test ] || ! apt-cache show libvirt-daemon-driver-network >/dev/null 2>&1 ||
        [ -e "/usr/lib/$(uname -m)-linux-gnu/libvirt/connection-driver/libvirt_driver_network.so" ] ||
        echo libvirt-daemon-driver-network
    # With --no-install-recommends it comes without what starts guests.
    [ "$1" != test ] || [ -e "/usr/lib/$(uname -m)-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so" ] ||
        echo libvirt-daemon-driver-qemu
    # nft looks up the names of protocols.
    [ "$1" != test ] || [ -e /etc/protocols ] || echo netbase
    # cargo fetches crates, and trusts whom the system trusts.
    [ -n "$(ls /etc/ssl/certs 2>/dev/null)" ] || echo ca-certificates
}

# have_rust STAGE: whether there is a Rust new enough and, for the tests, its formatter and linter.
have_rust() {
    find_rust || return 1
    [ "$1" = test ] || return 0
    rust_tools_work || {
        [ -x "$rust_folder/rustup" ] && as_builder rustup component add rustfmt clippy && rust_tools_work
    }
}

rust_tools_work() {
    as_builder cargo fmt --version >/dev/null 2>&1 && as_builder cargo clippy --version >/dev/null 2>&1
}

# prepare STAGE: sees to it that all is there that the stage needs; installs it where apt-get can. Sets $installed to what
# that was.
prepare() {
    installed=''
    find_builder
    private_qemu=${CARGO_TARGET_DIR:-$checkout/target}/qemu
    private_connman=${CARGO_TARGET_DIR:-$checkout/target}/connman
    PATH=$PATH:$private_qemu/bin:$private_connman/bin
    packages=$(missing "$1" | sort -u | tr '\n' ' ')
    rust=there
    have_rust "$1" || rust=missing
    [ -n "$packages" ] || [ "$rust" = missing ] || return 0

    if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
        [ "$rust" = there ] || packages="${packages}cargo ($wanted or newer; for the tests with fmt and clippy) "
        die "missing, by the names of Debian's packages: ${packages% }. Please install it and run this again"
    fi
    refresh_packages
    [ "$rust" = there ] || packages="$packages$(rust_packages "$1" | tr '\n' ' ')"
    case " $packages" in
        *' qemu-system-x86 '*)
            if takes_something_away qemu-system-x86; then
                unpack_qemu
                packages=$(echo "$packages" | sed 's/qemu-system-x86 //')
            fi ;;
    esac
    # Installed, it would take the place of what keeps this machine's network.
    case " $packages" in
        *' connman '*)
            unpack connman "$private_connman" usr/sbin/connmand
            packages=$(echo "$packages" | sed 's/connman //') ;;
    esac
    [ -z "${packages% }" ] || install_packages "$packages"
    installed=$packages
    have_rust "$1" || die "cargo in $rust_folder is older than $wanted, or has no fmt and clippy"
}

# refresh_packages: brings apt's lists up to date. One unreachable source among several must not be the end: whether
# something is really missing shows when it is installed.
refresh_packages() {
    apt-get update -q >/dev/null || echo 'apt-get update did not reach every source; trying with what is there' >&2
}

# takes_something_away PACKAGE: whether apt-get could install it only by removing another one.
takes_something_away() {
    apt-get install -s -q --no-install-recommends "$1" 2>/dev/null | grep -q '^Remv '
}

# unpack_qemu: a QEMU of the tests' own, beside what was built, where the packages of Debian's cannot be installed: with
# tools of a newer QEMU from elsewhere, for one.
unpack_qemu() {
    unpack qemu-system-x86 "$private_qemu" usr/bin/qemu-system-x86_64
}

# unpack PACKAGE FOLDER PROGRAM: the package below the folder, with what it needs and this machine lacks; its program as one of FOLDER/bin.
unpack() {
    echo "Unpacking $1 into $2, as it is not to be installed here"
    mkdir -p "$2/packages/partial" "$2/bin"
    apt-get install -y -q --no-install-recommends --download-only -o Dir::Cache::archives="$2/packages" "$1" >/dev/null
    for package in "$2"/packages/*.deb; do
        dpkg-deb -x "$package" "$2"
        rm "$package"
    done
    arch=$(uname -m)-linux-gnu # there may be no gcc yet to ask
    wrapper=$2/bin/$(basename "$3")
    {
        echo '#!/bin/sh'
        echo "LD_LIBRARY_PATH='$2/usr/lib/$arch:$2/lib/$arch' exec '$2/$3' \"\$@\""
    } >"$wrapper"
    chmod +x "$wrapper"
    chown -R "$builder" "$2"
}

# install_packages "NAMES": nothing is ever removed to make room, such as an older cargo that somebody chose.
install_packages() {
    echo "Installing: $1"
    log=$(mktemp)
    code=0
    hold_services
    # shellcheck disable=SC2086 # one word for each package
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends --no-remove $1 >"$log" 2>&1 || code=$?
    release_services "$1"
    if [ "$code" != 0 ]; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "apt-get could not install: $1"
    fi
    rm -f "$log"
}

# hold_services: no service is started because it is installed. Docker's would change the machine's network.
hold_services() {
    held=''
    [ ! -e /usr/sbin/policy-rc.d ] || return 0
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    held=yes
}

# release_services "NAMES": those of Docker and NetworkManager are not started with the machine, either, where they came for the tests.
release_services() {
    [ -z "$held" ] || rm -f /usr/sbin/policy-rc.d
    case " $1 " in
        *' firewalld '*) systemctl disable -q firewalld.service 2>/dev/null || true ;;
    esac
    case " $1 " in
        *' docker.io '*) systemctl disable -q docker.service docker.socket containerd.service 2>/dev/null || true ;;
    esac
    case " $1 " in
        *' network-manager '*) systemctl disable -q NetworkManager.service NetworkManager-wait-online.service 2>/dev/null || true ;;
    esac
}

# find_target: sets $target, what is compiled for (this machine, unless CARGO_BUILD_TARGET says otherwise), and $hooks,
# where the finished hooks are.
find_target() {
    target=${CARGO_BUILD_TARGET:-$(as_builder rustc -vV | sed -n 's/^host: //p')}
    hooks=${CARGO_TARGET_DIR:-$checkout/target}/$target/release
}

# build_hooks: the static release programs.
build_hooks() {
    find_target
    echo 'Building the programs, which takes about two minutes the first time'
    log=$(mktemp)
    if ! (cd "$checkout" && as_builder cargo build --quiet --release --locked --bins --target "$target") >"$log" 2>&1; then
        cat "$log" >&2
        if grep -qE 'failed to (download|fetch|get)|Could not resolve|spurious network|--offline' "$log"; then
            rm -f "$log"
            die 'cargo could not fetch the crates that the programs are built of: is crates.io in reach?'
        fi
        rm -f "$log"
        die 'the programs could not be built'
    fi
    rm -f "$log"
}

# build_guest: the image of the tests' guests; sets $guest to its folder and $accel to what runs it.
build_guest() {
    guest=${CARGO_TARGET_DIR:-$checkout/target}/guest
    # A first failure may be nothing but package lists that are absent, or older than the archive.
    if ! as_builder "$checkout/tests/guest/build.sh" "$guest"; then
        refresh_packages
        as_builder "$checkout/tests/guest/build.sh" "$guest"
    fi
    accel=$("$checkout/tests/guest/accel.sh" "$guest/vmlinuz" "$guest/initrd.gz")
}

# build_debian: the whole Debian that some of the tests boot.
build_debian() {
    as_builder "$checkout/tests/guest/debian.sh" "$guest"
}
