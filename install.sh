#!/bin/sh
# Installs kvmnet, takes it away again, or shows what it does without installing anything.
set -eu

usage='usage: sudo ./install.sh               build and install
       sudo ./install.sh --uninstall   put everything back as it was
       sudo ./install.sh --try         install nothing: two guests in each of the five modes, in a network of their own

  PREFIX=/usr/local   where all goes: lib/kvmnet, bin/kvmnet, and below share: man, doc/kvmnet, completions for bash and
                      zsh. The udev rule goes to /etc/udev/rules.d, what systemd reads to /etc/systemd, and the completion for
                      fish to /etc/fish/completions; with PREFIX=/usr, to /usr/lib/udev/rules.d,
                      /usr/lib/systemd and /usr/share/fish/vendor_completions.d
  DESTDIR=            for packagers: copy the files to this folder, as if it were /; needs no root'

checkout=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/prepare.sh
. "$checkout/tests/prepare.sh"

# What root installs is for all to read, whatever root's own habit is.
umask 022
PREFIX=${PREFIX:-/usr/local}
DESTDIR=${DESTDIR:-}
case $PREFIX in /*) ;; *) die "PREFIX must be an absolute path, not $PREFIX" ;; esac
case $DESTDIR in '' | /*) ;; *) DESTDIR=$PWD/$DESTDIR ;; esac
configuration=/etc/kvmnet.conf

# set_places: what is where, under PREFIX.
set_places() {
    library=$PREFIX/lib/kvmnet
    manual=$PREFIX/share/man
    documents=$PREFIX/share/doc/kvmnet
    for_bash=$PREFIX/share/bash-completion/completions
    for_zsh=$PREFIX/share/zsh/site-functions
    # udev, systemd and fish read two folders each, and look under no other prefix.
    case $PREFIX in
        /usr) rules=/usr/lib/udev/rules.d units=/usr/lib/systemd/system for_fish=/usr/share/fish/vendor_completions.d ;;
        *) rules=/etc/udev/rules.d units=/etc/systemd/system for_fish=/etc/fish/completions ;;
    esac
    case $PREFIX in
        /usr) tmpfiles=/usr/lib/tmpfiles.d networkd=/usr/lib/systemd/network zones=/usr/lib/firewalld ;;
        *) tmpfiles=/etc/tmpfiles.d networkd=/etc/systemd/network zones=/etc/firewalld ;;
    esac
}
set_places

# each_folder DO: calls DO with each folder that files are copied to, /etc itself aside.
each_folder() {
    "$1" "$library"
    "$1" "$PREFIX/bin"
    "$1" "$manual/man5"
    "$1" "$manual/man8"
    "$1" "$documents"
    "$1" "$for_bash"
    "$1" "$for_zsh"
    "$1" "$for_fish"
    "$1" "$rules"
    "$1" "$units"
    for unit in $firewalls nftables systemd-sysctl ufw; do
        "$1" "$units/$unit.service.d"
    done
    "$1" "$tmpfiles"
    "$1" "$networkd"
    "$1" "$zones/zones"
    "$1" "$zones/policies"
    "$1" "$zones/ipsets"
}

# After these services start, `kvmnet apply` gives networks that are up what they need beside them; one that is not there, or
# comes later, loses nothing.
firewalls='docker firewalld libvirtd netfilter-persistent virtnetworkd'

# each_file DO: calls DO for all that is copied, with its mode, where it comes from and where it goes.
each_file() {
    "$1" 755 "$hooks/qemu-ifup" "$library/qemu-ifup"
    "$1" 755 "$hooks/qemu-ifdown" "$library/qemu-ifdown"
    "$1" 755 "$hooks/kvmnet-bridge-helper" "$library/kvmnet-bridge-helper"
    # In everybody's PATH: to look needs no rights.
    "$1" 755 "$hooks/kvmnet" "$PREFIX/bin/kvmnet"
    "$1" 644 "$checkout/docs/man/kvmnet.8" "$manual/man8/kvmnet.8"
    "$1" 644 "$checkout/docs/man/qemu-ifup.8" "$manual/man8/qemu-ifup.8"
    "$1" 644 "$checkout/docs/man/qemu-ifdown.8" "$manual/man8/qemu-ifdown.8"
    "$1" 644 "$checkout/docs/man/kvmnet-bridge-helper.8" "$manual/man8/kvmnet-bridge-helper.8"
    "$1" 644 "$checkout/docs/man/kvmnet.conf.5" "$manual/man5/kvmnet.conf.5"
    for document in "$checkout/README.md" "$checkout"/docs/*.md "$checkout/docs/status.schema.json"; do
        "$1" 644 "$document" "$documents/$(basename "$document")"
    done
    "$1" 644 "$checkout/share/completions/kvmnet.bash" "$for_bash/kvmnet"
    "$1" 644 "$checkout/share/completions/_kvmnet" "$for_zsh/_kvmnet"
    "$1" 644 "$checkout/share/completions/kvmnet.fish" "$for_fish/kvmnet.fish"
    "$1" 644 "$checkout/share/60-kvmnet.rules" "$rules/60-kvmnet.rules"
    "$1" 644 "$checkout/share/kvmnet-serve@.service" "$units/kvmnet-serve@.service"
    for unit in $firewalls; do
        "$1" 644 "$checkout/share/kvmnet-apply.conf" "$units/$unit.service.d/kvmnet.conf"
    done
    "$1" 644 "$checkout/share/kvmnet-apply-flush.conf" "$units/nftables.service.d/kvmnet.conf"
    "$1" 644 "$checkout/share/kvmnet-apply-sysctl.conf" "$units/systemd-sysctl.service.d/kvmnet.conf"
    "$1" 644 "$checkout/share/kvmnet-apply-ufw.conf" "$units/ufw.service.d/kvmnet.conf"
    "$1" 644 "$checkout/share/kvmnet-apply.service" "$units/kvmnet-apply.service"
    "$1" 644 "$checkout/share/kvmnet-ufw.path" "$units/kvmnet-ufw.path"
    "$1" 644 "$checkout/share/kvmnet.tmpfiles" "$tmpfiles/kvmnet.conf"
    "$1" 644 "$checkout/share/10-kvmnet.network" "$networkd/10-kvmnet.network"
    for zone in kvmnet kvmnet-host kvmnet-bridge; do
        "$1" 644 "$checkout/share/firewalld/$zone.xml" "$zones/zones/$zone.xml"
    done
    for policy in kvmnet-drop kvmnet-block kvmnet-in kvmnet-out kvmnet-frames; do
        "$1" 644 "$checkout/share/firewalld/$policy.xml" "$zones/policies/$policy.xml"
    done
    for set in kvmnet-1 kvmnet-1-ipv6 kvmnet-2 kvmnet-2-ipv6; do
        "$1" 644 "$checkout/share/firewalld/$set.xml" "$zones/ipsets/$set.xml"
    done
}

# each_hook DO: calls DO with the name of each program that QEMU looks for in /etc.
each_hook() {
    "$1" qemu-ifup
    "$1" qemu-ifdown
}

# has_sets: by its iptables backend, firewalld does not start where it has a set and the program ipset is missing. Nor are they needed there.
has_sets() {
    ! grep -qs '^FirewallBackend=iptables' "$DESTDIR/etc/firewalld/firewalld.conf"
}

# put MODE FROM TO: copies a file. A rename puts it in place, so that a program that runs just now is no obstacle and
# nobody ever meets half a file.
put() {
    # Its owner may have added to a zone, and kvmnet has its interfaces in it.
    case $3 in /etc/firewalld/*) [ ! -e "$DESTDIR$3" ] || return 0 ;; esac
    case $3 in */firewalld/ipsets/kvmnet* | */firewalld/policies/kvmnet-frames.xml) has_sets || return 0 ;; esac
    mkdir -p "$DESTDIR$(dirname "$3")"
    case $3 in
        *.rules | *.service | *.service.d/*) name_program "$2" >"$DESTDIR$3.new" && chmod "$1" "$DESTDIR$3.new" ;;
        # Not every busybox has `install`.
        *) cp "$2" "$DESTDIR$3.new" && chmod "$1" "$DESTDIR$3.new" ;;
    esac
    case $3 in */kvmnet-bridge-helper) give_rights "$DESTDIR$3.new" ;; esac
    mv -f "$DESTDIR$3.new" "$DESTDIR$3"
}

# What the helper of a user's QEMU needs of root's rights; docs/man/kvmnet-bridge-helper.8 says what for.
capabilities=cap_net_admin,cap_net_raw,cap_dac_read_search+ep

# give_rights FILE: with no one but root to change it. A package does that when it is installed.
give_rights() {
    [ -z "$DESTDIR" ] || return 0
    if ! command -v setcap >/dev/null || ! setcap "$capabilities" "$1" 2>/dev/null; then
        echo "kvmnet-bridge-helper serves root alone until: setcap $capabilities ${1%.new}" >&2
    fi
}

# make_lock: as from the next start of the machine on.
make_lock() {
    [ -z "$DESTDIR" ] && [ -d /run/systemd/system ] && command -v systemd-tmpfiles >/dev/null || return 0
    systemd-tmpfiles --create "$tmpfiles/kvmnet.conf" || true
}

# name_program FILE: its text, with the path of the program in it.
name_program() {
    sed "s|@kvmnet@|$(printf '%s' "$PREFIX/bin/kvmnet" | sed 's/[&|\\]/\\&/g')|" "$1"
}

# take MODE FROM TO: the undoing of put.
take() {
    rm -f "$3" "$3.new"
}

exists() {
    [ -e "$1" ] || [ -L "$1" ]
}


# --- The two paths in /etc ----------------------------------------------------------------------------------
#
# They may belong to somebody: on Debian to the package qemu-system-common, elsewhere to whoever wrote a script. What
# is there is set aside under a name of its own, by rename, so that bytes, owner, mode and times stay. Where there is
# dpkg, its diversion does that, which also sends the package's next version there, or its first.

# set_aside PATH: the name under which the original waits.
set_aside() {
    echo "$1.kvmnet-orig"
}

# is_ours PATH: whether it is the link that link_hook makes, under whatever PREFIX.
is_ours() {
    case $(readlink "$1" || true) in */lib/kvmnet/"$(basename "$1")") return 0 ;; *) return 1 ;; esac
}

# uses_dpkg: not when staging, where nothing of the machine is touched.
uses_dpkg() {
    [ -z "$DESTDIR" ] && command -v dpkg-divert >/dev/null
}

# is_diverted PATH: whether there is a diversion of kvmnet's. Somebody else's goes elsewhere.
is_diverted() {
    uses_dpkg && [ "$(dpkg-divert --truename "$1")" = "$(set_aside "$1")" ]
}

# is_free_for_us PATH: whether link_hook would lose nothing.
is_free_for_us() {
    is_ours "$DESTDIR/etc/$1" || ! exists "$DESTDIR/etc/$1" || ! exists "$(set_aside "$DESTDIR/etc/$1")" ||
        die "/etc/$1 was replaced since kvmnet was installed, and $(set_aside "/etc/$1") still keeps what was there" \
            "before. Please move one of the two away and try again"
}

# link_hook NAME: /etc/NAME becomes a link to the program.
link_hook() {
    path=$DESTDIR/etc/$1
    if uses_dpkg && [ -z "$(dpkg-divert --listpackage "$path")" ]; then
        # Our own link stays where it is: it is not the original.
        if is_ours "$path"; then rename=--no-rename; else rename=--rename; fi
        dpkg-divert --quiet --local "$rename" --divert "$(set_aside "$path")" --add "$path"
    fi
    if exists "$path" && ! is_ours "$path"; then
        mv "$path" "$(set_aside "$path")"
    fi
    mkdir -p "$DESTDIR/etc"
    ln -sfn "$library/$1" "$path.kvmnet-new"
    mv -f "$path.kvmnet-new" "$path"
}

# unlink_hook NAME: /etc/NAME is what it was, or what the package would have made of it by now.
unlink_hook() {
    path=/etc/$1
    rm -f "$path.kvmnet-new"
    if is_ours "$path"; then
        rm "$path"
    elif exists "$path" && exists "$(set_aside "$path")"; then
        echo "$path was replaced since kvmnet was installed, so it stays; $(set_aside "$path") is the original" >&2
        left=yes
        return 0
    fi
    if is_diverted "$path"; then
        dpkg-divert --quiet --local --rename --remove "$path"
    elif exists "$(set_aside "$path")"; then
        mv "$(set_aside "$path")" "$path"
    fi
}


# --- The configuration --------------------------------------------------------------------------------------

# A copy beside the programs tells later whether anybody has changed it. It comes first: a configuration without
# its copy would count as somebody's own.
install_configuration() {
    exists "$DESTDIR$configuration" && return 0
    [ -n "$DESTDIR" ] || put 644 "$checkout/share/kvmnet.conf" "$library/kvmnet.conf.installed"
    put 644 "$checkout/share/kvmnet.conf" "$configuration"
}

uninstall_configuration() {
    if [ ! -L "$configuration" ] && cmp -s "$configuration" "$library/kvmnet.conf.installed"; then
        rm "$configuration"
    elif exists "$configuration"; then
        echo "$configuration is not as it was installed, so it stays" >&2
    fi
    rm -f "$library/kvmnet.conf.installed" "$library/kvmnet.conf.installed.new" "$configuration.new"
}


# --- udev ---------------------------------------------------------------------------------------------------

# reload_udev: a running udev would heed the rule's coming and going by itself, but only with its next event; systemd would
# not know of the unit.
reload_udev() {
    if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; then
        systemctl daemon-reload || echo 'systemd could not be told of its unit; it reads it when it starts next' >&2
    fi
    [ -z "$DESTDIR" ] && [ -S /run/udev/control ] && command -v udevadm >/dev/null || return 0
    udevadm control --reload || echo 'udev could not be told of its rule; it reads it when it starts next' >&2
}


# watch_ufw: where ufw has started already; else its start does it.
watch_ufw() {
    [ -z "$DESTDIR" ] && [ -d /run/systemd/system ] && systemctl -q is-active ufw.service || return 0
    systemctl start kvmnet-ufw.path || echo 'systemd could not start kvmnet-ufw.path; it does with ufw.service' >&2
}

# forget_ufw: before its files go.
forget_ufw() {
    [ ! -d /run/systemd/system ] || systemctl stop kvmnet-ufw.path 2>/dev/null || true
}


# tell_firewalld: it reads new zones when it is reloaded, and forgets what is not in its files then. So that is done only where there
# is no such thing.
tell_firewalld() {
    [ -z "$DESTDIR" ] && command -v firewall-cmd >/dev/null && firewall-cmd --state >/dev/null 2>&1 || return 0
    if [ "$(firewalld_has)" = "$(firewalld_has --permanent)" ] && firewall-cmd --quiet --reload; then
        [ ! -x "$PREFIX/bin/kvmnet" ] || "$PREFIX/bin/kvmnet" firewalld || true
    else
        echo 'firewalld reads its zones for kvmnet, or that they are gone, with: firewall-cmd --reload' >&2
    fi
}

# firewalld_has OPTION: all that it has but kvmnet's, and but for the interfaces of zones, which others tell it of.
firewalld_has() {
    for list in --list-all-zones --list-all-policies; do
        firewall-cmd "$@" "$list" | awk 'BEGIN { RS = ""; ORS = "\n\n" } !/^kvmnet/ { gsub(/ \([^\n]*\)/, ""); print }'
    done | grep -v '^ *interfaces:'
    for set in $(firewall-cmd "$@" --get-ipsets); do
        case $set in kvmnet-*) ;; *) echo "$set" && firewall-cmd "$@" --ipset="$set" --get-entries ;; esac
    done
    for list in --get-all-chains --get-all-rules --get-all-passthroughs; do
        firewall-cmd "$@" --direct "$list"
    done
}

# forget_zones: what firewalld keeps of kvmnet's zones and policies that were changed.
forget_zones() {
    for name in zones/kvmnet zones/kvmnet-host zones/kvmnet-bridge policies/kvmnet-in policies/kvmnet-out policies/kvmnet-drop policies/kvmnet-block \
        policies/kvmnet-frames ipsets/kvmnet-1 ipsets/kvmnet-1-ipv6 ipsets/kvmnet-2 ipsets/kvmnet-2-ipv6; do
        rm -f "/etc/firewalld/$name.xml" "/etc/firewalld/$name.xml.old"
    done
}


# --- Folders ------------------------------------------------------------------------------------------------

# What is noted here was to be made before there was a folder to keep the note in.
pending=/etc/kvmnet.folders.new

# make_folder FOLDER: with a note of which folders above it had to be made, to be removed again. The note comes first: a
# folder that was made and is not noted would stay for ever.
make_folder() {
    new=''
    folder=$1
    while [ ! -d "$folder" ]; do
        new="$folder
$new"
        folder=$(dirname "$folder")
    done
    [ -n "$new" ] || return 0
    if [ -d "$library" ]; then note=$library/folders; else note=$pending; fi
    printf '%s' "$new" >>"$note"
    mkdir -p "$1"
    keep_note
}

# keep_note: the note of the folders is where the programs are, as soon as that can be.
keep_note() {
    [ -e "$pending" ] && [ -d "$library" ] || return 0
    cat "$pending" >>"$library/folders"
    rm "$pending"
}

# find_prefix: where the programs are that are installed, when the hooks' link tells: PREFIX need not be given twice.
find_prefix() {
    is_ours /etc/qemu-ifup || return 0
    PREFIX=$(dirname "$(dirname "$(dirname "$(readlink /etc/qemu-ifup)")")")
    set_places
}

# remove_folders: those of the note, the last one first; those that hold something else by now stay.
remove_folders() {
    folders=$(cat "$library/folders" "$pending" 2>/dev/null | LC_ALL=C sort -ru)
    rm -f "$library/folders" "$pending"
    [ -n "$folders" ] || return 0
    echo "$folders" | while IFS= read -r folder; do
        rmdir "$folder" 2>/dev/null || true
    done
}


# --- What can be asked for ----------------------------------------------------------------------------------

need_root() {
    [ "$(id -u)" = 0 ] || die "this needs root: sudo ./install.sh${1:+ $1}"
}

# find_former: where the programs are that were installed under another PREFIX, if any are.
find_former() {
    former=''
    [ -z "$DESTDIR" ] || return 0
    if is_ours /etc/qemu-ifup; then
        former=$(dirname "$(dirname "$(dirname "$(readlink /etc/qemu-ifup)")")")
        [ "$former" != "$PREFIX" ] || former=''
    fi
    # One that was left half, because that run was killed.
    [ -n "$former" ] || [ ! -e "$library/former" ] || former=$(cat "$library/former")
}

# move_configuration: the copy that tells whether somebody has changed it goes to where the programs are now.
move_configuration() {
    copy=$former/lib/kvmnet/kvmnet.conf.installed
    [ -n "$former" ] || return 0
    echo "$former" >"$library/former"
    [ ! -e "$copy" ] || cp -p "$copy" "$library/kvmnet.conf.installed"
}

# leave_former: takes away what was installed under another PREFIX; what udev, systemd and fish read may be the same files in both,
# in folders that were made for the other.
leave_former() {
    [ -n "$former" ] || return 0
    cat "$former/lib/kvmnet/folders" >>"$library/folders" 2>/dev/null || true
    chosen=$PREFIX chosen_rules=$rules chosen_units=$units chosen_tmpfiles=$tmpfiles chosen_networkd=$networkd chosen_zones=$zones chosen_fish=$for_fish PREFIX=$former
    set_places
    each_file take_former
    rm -f "$library/kvmnet.conf.installed" "$library/former"
    rm -rf "$documents"
    remove_folders
    PREFIX=$chosen
    set_places
    rm "$library/former"
    echo "kvmnet was installed under $former; its files there are gone."
}

take_former() {
    case $(dirname "$3") in "$chosen_rules" | "$chosen_units" | "$chosen_units"/* | "$chosen_tmpfiles" | "$chosen_networkd" | "$chosen_zones"/* | "$chosen_fish") ;; *) take "$@" ;; esac
}

# install_dnsmasq: what tells guests their addresses. Without it all else works, so nothing fails.
install_dnsmasq() {
    if [ -n "$DESTDIR" ] || [ -x /usr/sbin/dnsmasq ] || command -v dnsmasq >/dev/null; then return 0; fi
    if command -v apt-get >/dev/null; then
        refresh_packages
        (install_packages dnsmasq-base) && return 0
    fi
    echo 'dnsmasq is missing: guests are told no addresses until it is installed (Debian: dnsmasq-base)' >&2
}

install_all() {
    [ -n "$DESTDIR" ] || need_root
    each_hook is_free_for_us
    find_former
    prepare build
    build_hooks
    install_dnsmasq
    [ -n "$DESTDIR" ] || each_folder make_folder
    each_file put
    make_lock
    reload_udev
    watch_ufw
    tell_firewalld
    move_configuration
    install_configuration
    each_hook link_hook
    leave_former
    if [ -n "$DESTDIR" ]; then
        echo "kvmnet is in $DESTDIR."
    else
        echo "kvmnet is installed: /etc/qemu-ifup and /etc/qemu-ifdown are its links, $configuration its configuration."
        echo "What it does, and how to look: man kvmnet. A file for this machine: $PREFIX/bin/kvmnet config init"
        echo 'Back to what was: sudo ./install.sh --uninstall'
        [ -z "$installed" ] || echo "These packages were installed to build it, and stay: ${installed% }"
    fi
}

uninstall_all() {
    [ -z "$DESTDIR" ] || die 'what is in DESTDIR needs no --uninstall: remove the folder'
    need_root --uninstall
    find_prefix
    refuse_with_networks
    hooks='' left=''
    each_hook unlink_hook
    [ -z "$left" ] || die 'not everything could be put back, so the programs stay as well'
    uninstall_configuration
    find_former
    leave_former
    forget_ufw
    each_file take
    forget_zones
    tell_firewalld
    rm -rf "$documents" /var/lib/kvmnet
    reload_udev
    remove_folders
    echo 'kvmnet is not installed any more.'
}

# refuse_with_networks: without the programs nobody takes down what is up, with its table and what was set for it.
refuse_with_networks() {
    [ -x "$PREFIX/bin/kvmnet" ] || return 0
    for bridge in $(grep -lsE '^kvmnet:[a-z-]+ ' /sys/class/net/*/ifalias | xargs -r -n 1 dirname | xargs -r -n 1 basename); do
        # A tap has an alias of kvmnet's, too.
        [ -d "/sys/class/net/$bridge/bridge" ] || continue
        die "a network is up on $bridge: first \`kvmnet down $bridge\` (with --force from under its guests)"
    done
}

try_modes() {
    need_root --try
    echo 'Two guests in each of the five modes, in network namespaces of their own: nothing of this machine is changed,'
    echo 'but for packages that may be missing; those are installed, and stay.'
    step '[1/4] what is needed'
    prepare try
    step '[2/4] the programs'
    build_hooks
    as_builder cargo test --locked --no-run --test try
    step '[3/4] the guest'
    build_guest
    step '[4/4] five modes'
    with_rust env KVMNET_TEST_HOOKS="$hooks" KVMNET_TEST_GUEST="$guest" KVMNET_TEST_ACCEL="$accel" \
        unshare --net --mount \
        cargo test --quiet --locked --offline --test try -- --hooks "$hooks" --guest "$guest"
}

cd "$checkout"
[ $# -le 1 ] || { echo "$usage" >&2; exit 2; }
case ${1-} in
    '') install_all ;;
    --uninstall) uninstall_all ;;
    --try) try_modes ;;
    --help) echo "$usage" ;;
    *) echo "$usage" >&2; exit 2 ;;
esac
