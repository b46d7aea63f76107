#!/bin/sh
# Makes a Debian with systemd for the tests' guests: OUTDIR/debian.cpio, an initramfs with networkd, resolved, ifupdown, udev, D-Bus,
# dnsmasq and ISC's dhclient, from the packages of this machine's Debian and from what build.sh has left in OUTDIR. Nothing is
# installed. A second run with the same packages does nothing.
set -eu

usage='usage: tests/guest/debian.sh OUTDIR'

packages='systemd udev dbus dnsmasq-base ifupdown iproute2 iputils-ping isc-dhcp-client kmod nftables strace busybox-static udhcpc'
# In a package of its own since Debian 12, as systemctl's and journalctl's parts may be one day.
optional='systemd-resolved'

# What nothing in a guest runs: Perl and what is written in it, and what installs packages.
superfluous='adduser apt debconf dpkg libdb libgdbm libperl passwd perl tar'

# Units that a guest of the tests has no use for, and would wait for.
masked='getty.target getty-static.service systemd-firstboot.service systemd-hwdb-update.service
    systemd-journal-flush.service systemd-logind.service systemd-machine-id-commit.service systemd-networkd-wait-online.service
    systemd-random-seed.service systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-binfmt.service
    proc-sys-fs-binfmt_misc.automount dev-hugepages.mount systemd-remount-fs.service ldconfig.service'

here=$(cd "$(dirname "$0")" && pwd)

die() {
    echo "tests/guest/debian.sh: $*" >&2
    exit 1
}

# resolve APT_OPTION...: apt-get's answer to what it takes to install the packages on a machine that has nothing.
resolve() {
    : >"$out/nothing"
    # shellcheck disable=SC2086 # one word for each package
    apt-get install -y -q --no-install-recommends -o Dir::State::status="$out/nothing" \
        -o APT::Sandbox::User=root -o Debug::NoLocking=1 "$@" $packages
    rm "$out/nothing"
}

# choose_packages: leaves out what this Debian does not have.
choose_packages() {
    for package in $optional; do
        if [ -n "$(apt-cache show "$package" 2>/dev/null)" ]; then
            packages="$packages $package"
        fi
    done
}

# wanted_version: what the image is made of.
wanted_version() {
    resolve --print-uris | sed -n "s/^'.*' \([^ ]*\.deb\) .*/\1/p" | sort
    cat "$here/debian.sh" "$here/agent" "$here/agent.service" "$here/init" "$here/qemu.rs" "$out/version" | cksum
}

is_superfluous() {
    for name in $superfluous; do
        case $1 in "$name"[0-9._-]*) return 0 ;; esac
    done
    return 1
}

# unpack: all packages, under $root, with one /usr as every Debian has it since.
unpack() {
    mkdir -p "$work/packages/partial" "$root/usr"
    resolve --download-only -o Dir::Cache::archives="$work/packages" >"$work/apt.log" 2>&1 || {
        cat "$work/apt.log" >&2
        die 'could not download the packages'
    }
    for package in "$work"/packages/*.deb; do
        is_superfluous "$(basename "$package")" || dpkg-deb -x "$package" "$root"
    done
    for folder in bin sbin lib lib64; do
        if [ -d "$root/$folder" ] && [ ! -L "$root/$folder" ]; then
            mkdir -p "$root/usr/$folder"
            cp -a "$root/$folder/." "$root/usr/$folder/"
            rm -r "${root:?}/$folder"
        fi
        ln -sfn "usr/$folder" "$root/$folder"
    done
    for folder in doc man locale info lintian perl5 zsh bash-completion; do
        rm -rf "${root:?}/usr/share/$folder"
    done
    rm -rf "$root"/usr/lib/udev/hwdb.d "$root"/usr/lib/*/gconv "$root"/usr/lib/*/perl*
}

# run_inside NAME PROGRAM ARGUMENT...: a program of the image under this name, with its own libraries.
run_inside() {
    name=$1 program=$2
    shift 2
    libraries=$(find "$root/usr/lib" -maxdepth 2 -type d -name '*-linux-gnu' -o -maxdepth 2 -type d -path '*-linux-gnu/systemd')
    "$root"/usr/lib64/ld-linux-x86-64.so.2 --library-path "$(echo "$libraries" | tr '\n' ':')" \
        --argv0 "$name" "$root/usr/bin/$program" "$@"
}

# add_commands: busybox is the shell, and each program that no package has brought.
add_commands() {
    for command in $("$root/usr/bin/busybox" --list); do
        [ -e "$root/usr/bin/$command" ] || [ -e "$root/usr/sbin/$command" ] || [ -L "$root/usr/sbin/$command" ] ||
            [ -L "$root/usr/bin/$command" ] || ln -s busybox "$root/usr/bin/$command"
    done
    install -m 755 "$here/agent" "$here/init" "$root/"
    rustc --edition 2024 -O -C target-feature=+crt-static -C panic=abort -C strip=symbols \
        -o "$root/usr/bin/qemu-system-x86_64" "$here/qemu.rs"
}

# add_modules: where modprobe finds them. Radios stay away: udev would load their driver with the first NIC.
add_modules() {
    version=$(cat "$out/modules/version")
    mkdir -p "$root/usr/lib/modules/$version"
    for module in "$out"/modules/*.ko; do
        name=$(basename "$module" | sed 's/^[0-9]*-//')
        case $name in *80211* | rfkill.ko) ;; *) cp "$module" "$root/usr/lib/modules/$version/$name" ;; esac
    done
    cp "$out"/modules/modules.* "$root/usr/lib/modules/$version/"
    run_inside depmod kmod -b "$root" "$version"
}

# configure: what the packages' own scripts do, and what makes a guest of the tests of it.
configure() {
    mkdir -p "$root/dev" "$root/proc" "$root/sys" "$root/run" "$root/root" "$root/tmp" "$root/var/lib/misc" "$root/var/tmp" \
        "$root/etc/systemd/system/multi-user.target.wants"
    chmod 1777 "$root/tmp" "$root/var/tmp"
    echo 'u dnsmasq - "dnsmasq" /var/lib/misc' >"$root/usr/lib/sysusers.d/dnsmasq.conf"
    run_inside systemd-sysusers systemd-sysusers --root="$root" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        die 'systemd-sysusers has made no users'
    }
    : >"$root/etc/fstab"
    printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
    printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$root/etc/nsswitch.conf"
    # Each guest gets an ID of its own when it boots.
    : >"$root/etc/machine-id"
    touch "$root/etc/.updated" "$root/var/.updated"
    units=$root/etc/systemd/system
    for unit in $masked; do
        ln -sf /dev/null "$units/$unit"
    done
    ln -s /usr/lib/systemd/system/multi-user.target "$units/default.target"
    cp "$here/agent.service" "$units/"
    for unit in /etc/systemd/system/agent.service /usr/lib/systemd/system/systemd-networkd.service \
        /usr/lib/systemd/system/systemd-resolved.service; do
        ln -s "$unit" "$units/multi-user.target.wants/"
    done
    ln -s /usr/lib/systemd/system/systemd-resolved.service "$units/dbus-org.freedesktop.resolve1.service"
    ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
}

[ $# = 1 ] || {
    echo "$usage" >&2
    exit 2
}
out=$(cd "$1" && pwd)
[ -e "$out/modules/version" ] || die "$out has no modules: first tests/guest/build.sh $1"
choose_packages
wanted=$(wanted_version)
if [ -e "$out/debian.cpio" ] && [ "$(cat "$out/debian.version" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
root=$work/root
rm -f "$out/debian.version"
unpack
add_commands
add_modules
configure
# Not compressed: an emulated guest would need longer to unpack it than the host to read it. All is root's there, whoever
# makes it.
(cd "$root" && find . >../files && "$root/usr/bin/busybox" cpio -o -H newc -R 0:0 <../files >../debian.cpio)
mv "$work/debian.cpio" "$out/"
echo "$wanted" >"$out/debian.version"
