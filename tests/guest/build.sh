#!/bin/sh
# Makes a small Linux for the tests' guests: OUTDIR/vmlinuz and OUTDIR/initrd.gz, from Debian's kernel and its static
# busybox (OUTDIR/busybox), OUTDIR/more.gz, to be appended for a guest that plays a host, and OUTDIR/modules, which
# debian.sh takes. The packages are downloaded and unpacked, nothing is installed. A second run with the same packages
# does nothing.
set -eu

usage='usage: tests/guest/build.sh OUTDIR'

# Every kind of NIC that people type: -net nic is an e1000 on QEMU's pc and an e1000e on q35, -device virtio-net-pci.
drivers='virtio_pci virtio_net e1000 e1000e'

# What a guest needs that plays a host: what the hooks make, every kind of uplink, and a radio without hardware. The
# ciphers of macsec and the checksum of nf_tables are asked for by name, in no way that add_module would see.
more='tun bridge veth crc32c_generic nft_masq nft_nat nft_ct nft_chain_nat nft_fib_inet sch_ingress cls_bpf 8021q
    bonding ctr ghash-generic gcm macsec wireguard ipip vrf mac80211_hwsim'

# And what a whole Debian has beside that: a disk with a file system, and what forwards and firewalls ask the kernel for.
debian='virtio_blk ext4 vhost_net br_netfilter nf_conntrack_netlink nft_redir nft_reject_inet nft_limit nft_log
    ip_tables ip6_tables nft_compat xt_conntrack xt_limit xt_LOG nf_log_syslog xt_addrtype xt_hl ip6t_rt xt_tcpudp xt_comment ipt_REJECT ip6t_REJECT xt_MASQUERADE'

packages='busybox-static udhcpc'

here=$(cd "$(dirname "$0")" && pwd)

die() {
    echo "tests/guest/build.sh: $*" >&2
    exit 1
}

# kernel_package: the newest kernel of this Debian, which the metapackage names. It is the full one: the smaller cloud
# kernel has no e1000.
kernel_package() {
    apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}

# wanted_version: what the image is made of, in one line: the packages, and the scripts that put them together.
wanted_version() {
    for package in "$kernel" $packages; do
        apt-cache show --no-all-versions "$package" 2>/dev/null | sed -n 's/^Filename: .*\///p'
    done
    cat "$here/build.sh" "$here/init" "$here/agent" | cksum
}

# download: the packages, unpacked under $work/root.
download() {
    # apt drops to the user _apt for downloads and warns when it may not write here, which root's temporary folder
    # does not let it: an answer to that is to stay root.
    # shellcheck disable=SC2086 # one word for each package
    (cd "$work" && apt-get download -q -o APT::Sandbox::User=root "$kernel" $packages >apt.log 2>&1) || {
        cat "$work/apt.log" >&2
        die "could not download $kernel $packages"
    }
    for package in "$work"/*.deb; do
        dpkg-deb -x "$package" "$work/root"
    done
}

# field FILE OFFSET SIZE: an unsigned little-endian number in a binary file.
field() {
    od -An -t"u$3" -j"$2" -N"$3" "$1" | tr -d ' '
}

# unpack_kernel BZIMAGE: the ELF kernel inside, to standard output. Under emulation a guest needs seconds to unpack
# itself and the host a fraction of one; QEMU enters an ELF kernel directly (PVH). The places are those of
# Documentation/arch/x86/boot.rst: setup_sects, payload_offset and payload_length.
unpack_kernel() {
    start=$((($(field "$1" 497 1) + 1) * 512 + $(field "$1" 584 4)))
    # The payload's last four bytes are its unpacked size, not part of the compressed stream.
    length=$(($(field "$1" 588 4) - 4))
    case $(od -An -tx1 -j"$start" -N4 "$1" | tr -d ' ') in
        fd377a58) unpacker=xz ;;
        28b52ffd) unpacker=zstd ;;
        02214c18) unpacker=lz4 ;;
        1f8b*) unpacker=gzip ;;
        *) die "$1 is compressed in a way this script does not know" ;;
    esac
    command -v "$unpacker" >/dev/null || die "$unpacker is missing, with which the kernel is compressed"
    tail -c +$((start + 1)) "$1" | head -c "$length" | "$unpacker" -dc
}

# module_file NAME: the module's file, unpacked: the guest's insmod takes no compressed ones. Nothing is printed for a
# driver that is built into the kernel.
module_file() {
    found=$(find "$work/root" -name "$(echo "$1" | sed 's/[-_]/[-_]/g').ko*")
    case $found in
        *.xz) xz -d "$found" && found=${found%.xz} ;;
        *.zst) zstd -q -d --rm "$found" && found=${found%.zst} ;;
    esac
    echo "$found"
}

# add_module NAME: copies a module of the kernel into $modules, after those it depends on; the number in front keeps
# that order for the guest. POSIX sh has no local variables, so nothing but $1 outlives the recursion.
add_module() {
    case " $added " in *" $1 "*) return ;; esac
    added="$added $1"
    [ -n "$(module_file "$1")" ] || return 0
    for dependency in $(tr '\0' '\n' <"$(module_file "$1")" | sed -n 's/^depends=//p' | tr ',' ' '); do
        add_module "$dependency"
    done
    count=$((count + 1))
    cp "$(module_file "$1")" "$(printf '%s/%02d-%s.ko' "$modules" "$count" "$1")"
}

# pack FOLDER: makes FOLDER.gz, an initramfs, of all that is in it.
pack() {
    # A pipe would hide a failure of all but its last program, hence the files in between.
    (cd "$1" && find . >../files && "$initramfs/bin/busybox" cpio -o -H newc <../files >"$1.cpio")
    gzip -1 <"$1.cpio" >"$1.gz"
}

build() {
    initramfs=$work/initrd
    mkdir -p "$initramfs/bin" "$initramfs/dev" "$initramfs/proc" "$initramfs/sys" "$initramfs/modules" \
        "$initramfs/etc/udhcpc" "$work/more/modules/more" "$work/modules"
    cp "$(find "$work/root" -path '*/bin/busybox')" "$initramfs/bin/busybox"
    install -m 755 "$here/init" "$here/agent" "$initramfs/"
    # The script as Debian's DHCP client has it, where it looks for it.
    cp "$work/root/etc/udhcpc/default.script" "$initramfs/etc/udhcpc/"
    added='' count=0
    modules=$initramfs/modules
    for driver in $drivers; do
        add_module "$driver"
    done
    modules=$work/more/modules/more
    for driver in $more; do
        add_module "$driver"
    done
    pack "$initramfs"
    pack "$work/more"
    cp "$initramfs/bin/busybox" "$work/busybox"
    modules=$work/modules
    for driver in $debian; do
        add_module "$driver"
    done
    cp "$initramfs"/modules/*.ko "$work"/more/modules/more/*.ko "$work/modules/"
    tree=$(dirname "$(find "$work/root" -name modules.order)")
    cp "$tree"/modules.* "$work/modules/"
    basename "$tree" >"$work/modules/version"
    unpack_kernel "$(find "$work/root" -name 'vmlinuz-*')" >"$work/vmlinuz"
}

[ $# = 1 ] || {
    echo "$usage" >&2
    exit 2
}
mkdir -p "$1"
out=$(cd "$1" && pwd)
kernel=$(kernel_package)
[ -n "$kernel" ] || die 'apt knows no package linux-image-amd64: run "apt-get update", on Debian for x86-64'
version=$(wanted_version)
if [ -e "$out/modules" ] && [ "$(cat "$out/version" 2>/dev/null)" = "$version" ]; then
    exit 0
fi

# Not in /tmp, which may be memory: a kernel package unpacks to hundreds of megabytes.
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$work/root"
rm -rf "$out/version" "$out/modules"
download
build
mv "$work/busybox" "$work/vmlinuz" "$work/initrd.gz" "$work/more.gz" "$work/modules" "$out/"
echo "$version" >"$out/version"
