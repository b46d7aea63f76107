#!/bin/bash
# Whether install.sh puts back exactly what it found, whatever it found: nothing, the distribution's package,
# somebody's own scripts, half an installation. As root.
#
# The machine is not touched: this runs again in a mount namespace of its own, where all that install.sh writes to is
# an overlay in memory, laid anew for each case. dpkg's database there is empty, and the package that owns the two
# paths on Debian is a small one made here. Its name and paths are the real one's.
set -euo pipefail

checkout=$(cd "$(dirname "$0")/../.." && pwd)
library=/usr/local/lib/kvmnet
# What is installed beside the programs that QEMU runs.
program=/usr/local/bin/kvmnet
manual=/usr/local/share/man
rule=/etc/udev/rules.d/60-kvmnet.rules
unit=/etc/systemd/system/kvmnet-serve@.service
tmpfile=/etc/tmpfiles.d/kvmnet.conf
helper=$library/kvmnet-bridge-helper
pages='man8/kvmnet.8 man8/kvmnet-bridge-helper.8 man8/qemu-ifup.8 man8/qemu-ifdown.8 man5/kvmnet.conf.5'
completions='/usr/local/share/bash-completion/completions/kvmnet /usr/local/share/zsh/site-functions/_kvmnet
    /etc/fish/completions/kvmnet.fish'

if [ "${1-}" != --inside ]; then
    exec unshare --mount "$0" --inside
fi


# --- The stage ----------------------------------------------------------------------------------------------

scratch=$(mktemp -d)
trap 'cd /; umount -l "$scratch"; rmdir "$scratch"' EXIT
mount -t tmpfs kvmnet-check "$scratch"

# fresh_machine: /etc and /usr/local as on this machine, without kvmnet and without the two paths; a dpkg that knows no
# package.
fresh_machine() {
    while umount /etc /usr/local /var/lib/dpkg 2>/dev/null; do :; done
    rm -rf "$scratch/layers"
    local folder layer page file
    for folder in /etc /usr/local; do
        layer=$scratch/layers$folder
        mkdir -p "$layer/upper" "$layer/work"
        mount -t overlay -o "lowerdir=$folder,upperdir=$layer/upper,workdir=$layer/work" overlay "$folder"
    done
    rm -rf /etc/qemu-if* /etc/kvmnet.* /etc/fish "$library" "$program" "$rule" "$unit" "$tmpfile" /usr/local/share/doc/kvmnet
    rm -f /etc/systemd/system/*.service.d/kvmnet.conf
    for page in $pages; do rm -f "$manual/$page"; done
    for file in $completions; do rm -f "$file"; done
    [ -z "$with_dpkg" ] || mkdir -p /var/lib/dpkg
    [ -d /var/lib/dpkg ] || return 0
    mount -t tmpfs kvmnet-dpkg /var/lib/dpkg
    mkdir -p /var/lib/dpkg/info /var/lib/dpkg/updates
    touch /var/lib/dpkg/status /var/lib/dpkg/available
}

# listing: all there is under /etc and /usr/local, and the diversions: kinds, modes, owners, sizes and times, and the
# bytes of what is in /etc (/usr/local may be large). Not the times of folders: they change with what comes and goes.
listing() {
    # Sorted: a file that went and came back may stand elsewhere in its folder.
    find /etc /usr/local -type d -printf '%p %M %U:%G\n' -o -printf '%p %M %U:%G %s %T@ %l\n' | LC_ALL=C sort
    find /etc -type f -exec sha256sum {} + | LC_ALL=C sort
    [ -z "$with_dpkg" ] || dpkg-divert --list
}

# make_packages: qemu-system-common in two versions, with nothing but the two files and that they are configuration.
make_packages() {
    local version root="$scratch/package"
    for version in 1 2; do
        mkdir -p "$root/DEBIAN" "$root/etc"
        printf '#!/bin/sh\n# up, version %s\n' "$version" >"$root/etc/qemu-ifup"
        printf '#!/bin/sh\n# down, version %s\n' "$version" >"$root/etc/qemu-ifdown"
        chmod 755 "$root"/etc/*
        touch -d "2020-01-0$version 03:04:05.678" "$root"/etc/*
        printf '/etc/qemu-ifup\n/etc/qemu-ifdown\n' >"$root/DEBIAN/conffiles"
        printf 'Package: qemu-system-common\nVersion: %s\nArchitecture: all\nMaintainer: x\nDescription: x\n' \
            "$version" >"$root/DEBIAN/control"
        dpkg-deb --build --root-owner-group "$root" "$scratch/$version.deb" >/dev/null
    done
}

package() {
    dpkg --install --force-depends "$scratch/$1.deb" >/dev/null 2>&1
}

purge_package() {
    dpkg --purge qemu-system-common >/dev/null 2>&1
}

# own_scripts: what an administrator may have put there: a file of somebody's with an odd mode, and a link.
own_scripts() {
    echo '# mine' >/etc/qemu-ifup
    chmod 4710 /etc/qemu-ifup
    chown 1234:4321 /etc/qemu-ifup
    touch -d '2019-08-07 06:05:04.321' /etc/qemu-ifup
    ln -s somewhere/else /etc/qemu-ifdown
}

install_it() {
    "$checkout/install.sh" >"$scratch/log" 2>&1
}

uninstall_it() {
    "$checkout/install.sh" --uninstall >"$scratch/log" 2>&1
}


# --- What is checked ----------------------------------------------------------------------------------------

passed=0 failed=0

# check WHAT COMMAND...: one line for a person; on a failure with the last words of what ran.
check() {
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok    $what"
    else
        failed=$((failed + 1))
        echo "FAIL  $what"
        sed 's/^/          /' "$scratch/log" | tail -n 15
    fi
}

remember() {
    listing >"$scratch/before"
}

as_before() {
    listing | diff "$scratch/before" - >"$scratch/log" 2>&1
}

works() {
    local hook
    for hook in qemu-ifup qemu-ifdown; do
        [ "$(readlink /etc/$hook)" = "$library/$hook" ] || return 1
        [ "$(stat -Lc '%A %u:%g' /etc/$hook)" = '-rwxr-xr-x 0:0' ] || return 1
    done
}

# looks: whether anybody can run kvmnet, complete its arguments and read its pages, and udev knows where it is.
looks() {
    local file page
    [ "$(stat -c '%A %u:%g' "$program" "$rule" | tr '\n' ' ')" = '-rwxr-xr-x 0:0 -rw-r--r-- 0:0 ' ] || return 1
    for file in $completions; do [ "$(stat -c '%A %u:%g' "$file")" = '-rw-r--r-- 0:0' ] || return 1; done
    setpriv --reuid 65534 --regid 65534 --clear-groups "$program" --version >"$scratch/log" 2>&1 || return 1
    grep -qF "RUN+=\"'$program' gc\"" "$rule" || return 1
    [ "$(stat -c '%A %u:%g' "$helper" "$tmpfile" | tr '\n' ' ')" = '-rwxr-xr-x 0:0 -rw-r--r-- 0:0 ' ] || return 1
    [ "$(getcap "$helper")" = "$helper cap_dac_read_search,cap_net_admin,cap_net_raw=ep" ] || return 1
    grep -qF "ExecStart=\"$program\" serve" "$unit" || return 1
    for file in docker libvirtd netfilter-persistent nftables ufw virtnetworkd; do
        grep -qF "ExecStartPost=-\"$program\" apply" "/etc/systemd/system/$file.service.d/kvmnet.conf" || return 1
    done
    for page in $pages; do
        [ "$(stat -c '%A %u:%g' "$manual/$page")" = '-rw-r--r-- 0:0' ] || return 1
        (cd "$manual" && mandoc -T html "$page") >"$scratch/log" 2>&1 || return 1
        holds '>NAME<' "$scratch/log" || return 1
    done
}

# gone: whether nothing of that is left.
gone() {
    local file page
    for page in $pages; do ! [ -e "$manual/$page" ] || return 1; done
    for file in $completions; do ! [ -e "$file" ] || return 1; done
    ! [ -e "$program" ] && ! [ -e "$rule" ]
}

same() {
    cmp "$1" "$2" >"$scratch/log" 2>&1
}

holds() {
    grep -qs -- "$1" "$2"
}

fails() {
    ! "$@"
}

# there_and_back NAME: installing, twice, and uninstalling, twice, on the machine as it is.
there_and_back() {
    remember
    check "$1: installs" install_it
    check "$1: the hooks are in place" works
    check "$1: kvmnet, its pages, its completions and its rule are in place" looks
    check "$1: installs again" install_it
    check "$1: the hooks are still in place" works
    check "$1: uninstalls" uninstall_it
    check "$1: all is as it was" as_before
    check "$1: uninstalls again" uninstall_it
    check "$1: all is still as it was" as_before
}

bare_machine() {
    fresh_machine
    there_and_back 'bare machine'
}

elsewhere() {
    fresh_machine
    own_scripts
    remember
    check 'PREFIX: installs' answer 0 env PREFIX=/usr/local/opt/net "$checkout/install.sh"
    check 'PREFIX: a program' [ -x /usr/local/opt/net/lib/kvmnet/qemu-ifup ]
    check 'PREFIX: kvmnet' [ -x /usr/local/opt/net/bin/kvmnet ]
    check 'PREFIX: a page' [ -f /usr/local/opt/net/share/man/man8/kvmnet.8 ]
    check 'PREFIX: a completion' [ -f /usr/local/opt/net/share/zsh/site-functions/_kvmnet ]
    check 'PREFIX: the rule names it' holds "'/usr/local/opt/net/bin/kvmnet' gc" "$rule"
    check 'PREFIX: uninstalls without being told' uninstall_it
    check 'PREFIX: all is as it was' as_before
}

# elsewhere_before: what was installed under another PREFIX is not left behind.
elsewhere_before() {
    fresh_machine
    own_scripts
    remember
    check 'another PREFIX before: installs' answer 0 env PREFIX='/usr/local/opt/x y' "$checkout/install.sh"
    check 'another PREFIX before: installs' install_it
    check 'another PREFIX before: says so' holds 'was installed under /usr/local/opt/x y' "$scratch/log"
    check 'another PREFIX before: nothing is there' [ ! -e /usr/local/opt ]
    check 'another PREFIX before: the hooks are in place' works
    check 'another PREFIX before: kvmnet, its pages, its completions and its rule are in place' looks
    check 'another PREFIX before: uninstalls' uninstall_it
    check 'another PREFIX before: the configuration went, too' fails holds 'so it stays' "$scratch/log"
    check 'another PREFIX before: all is as it was' as_before
}

# killed_at_the_folder: between the making of the first folder and its first file.
killed_at_the_folder() {
    local after
    for after in installs uninstalls; do
        fresh_machine
        remember
        printf '%s\n' "$library" >/etc/kvmnet.folders.new
        mkdir "$library"
        [ "$after" = uninstalls ] || check 'killed at the folder: installs' install_it
        check "killed at the folder, then $after: uninstalls" uninstall_it
        check "killed at the folder, then $after: all is as it was" as_before
    done
}

# a_network_is_up: it is to go first, while there is a program that knows how.
a_network_is_up() {
    fresh_machine
    check 'a network is up: installs' install_it
    check 'a network is up: uninstalling is refused' answer 1 unshare --net --mount sh -c "
        mount -t sysfs sysfs /sys; ip link add br7 type bridge; ip link set br7 alias 'kvmnet:nat default 0 made'
        '$checkout/install.sh' --uninstall"
    check 'a network is up: what to do is told' holds 'kvmnet down br7' "$scratch/log"
    check 'a network is up: the hooks are in place' works
    check 'a network is up: uninstalls when it is not' uninstall_it
}

somebodys_scripts() {
    fresh_machine
    own_scripts
    echo 'mode = "isolated"' >/etc/kvmnet.conf
    there_and_back "somebody's own scripts and configuration"
}

configuration() {
    fresh_machine
    check 'configuration: installs' install_it
    check 'configuration: the example is there' same "$checkout/share/kvmnet.conf" /etc/kvmnet.conf
    check "configuration: it is root's alone" [ "$(stat -c '%A %u:%g' /etc/kvmnet.conf)" = '-rw-r--r-- 0:0' ]
    echo 'mode = "isolated"' >>/etc/kvmnet.conf
    check 'configuration: installs again' install_it
    check 'configuration: what was changed stays' holds isolated /etc/kvmnet.conf
    check 'configuration: uninstalls' uninstall_it
    check 'configuration: what was changed outlives it' holds isolated /etc/kvmnet.conf
    check 'configuration: nothing else does' gone
}

# half_installed: whatever a kill may leave behind, --uninstall clears away.
half_installed() {
    local stage
    for stage in 'the programs alone' 'one hook alone' 'a diversion without its link'; do
        [ "$stage" != 'a diversion without its link' ] || [ -n "$with_dpkg" ] || continue
        fresh_machine
        own_scripts
        remember
        install_it
        case $stage in
            'the programs alone') for hook in ifup ifdown; do give_back $hook; done ;;
            'one hook alone') give_back ifdown ;;
            'a diversion without its link') rm /etc/qemu-ifup ;;
        esac
        check "half installed, $stage: uninstalls" uninstall_it
        check "half installed, $stage: all is as it was" as_before
    done
}

# give_back ifup|ifdown: undoes one hook by hand.
give_back() {
    rm "/etc/qemu-$1"
    if [ -n "$with_dpkg" ]; then
        dpkg-divert --quiet --local --rename --remove "/etc/qemu-$1"
    else
        mv "/etc/qemu-$1.kvmnet-orig" "/etc/qemu-$1"
    fi
}

# replaced_afterwards: nothing is lost when somebody has put a script over the link.
replaced_afterwards() {
    fresh_machine
    own_scripts
    install_it
    rm /etc/qemu-ifup
    echo '# new' >/etc/qemu-ifup
    check 'hook replaced afterwards: installing is refused' fails install_it
    check 'hook replaced afterwards: the reason is told' holds 'was replaced since' "$scratch/log"
    check 'hook replaced afterwards: uninstalling says so' fails uninstall_it
    check 'hook replaced afterwards: the new one is there' holds new /etc/qemu-ifup
    check 'hook replaced afterwards: the old one is there' holds mine /etc/qemu-ifup.kvmnet-orig
}

package_before() {
    fresh_machine
    package 1
    there_and_back 'package before'
}

package_upgraded() {
    fresh_machine
    package 1
    install_it
    package 2
    check 'package upgraded: the hooks are still in place' works
    uninstall_it
    listing >"$scratch/after"
    fresh_machine
    package 1
    package 2
    check 'package upgraded: uninstalled, its new files are there' same <(listing) "$scratch/after"
}

package_after() {
    fresh_machine
    package 1
    remember
    fresh_machine
    install_it
    package 1
    check 'package after: the hooks are still in place' works
    check 'package after: uninstalls' uninstall_it
    check 'package after: its files are there' as_before
}

package_purged() {
    fresh_machine
    package 1
    install_it
    purge_package
    check 'package purged: the hooks are still in place' works
    check 'package purged: uninstalls' uninstall_it
    check 'package purged: no diversion is left' fails holds qemu-if <(dpkg-divert --list)
}

# staging: for packagers; nothing outside DESTDIR is touched.
staging() {
    fresh_machine
    own_scripts
    remember
    check 'staging: installs' answer 0 env DESTDIR="$scratch/stage" PREFIX=/usr "$checkout/install.sh"
    check 'staging: the machine is as it was' as_before
    check 'staging: a program' [ -x "$scratch/stage/usr/lib/kvmnet/qemu-ifup" ]
    check 'staging: a link' [ "$(readlink "$scratch/stage/etc/qemu-ifup")" = /usr/lib/kvmnet/qemu-ifup ]
    check 'staging: the configuration' [ -f "$scratch/stage/etc/kvmnet.conf" ]
    check 'staging: kvmnet' [ -x "$scratch/stage/usr/bin/kvmnet" ]
    check 'staging: a page' [ -f "$scratch/stage/usr/share/man/man5/kvmnet.conf.5" ]
    check 'staging: the rule' holds "'/usr/bin/kvmnet' gc" "$scratch/stage/usr/lib/udev/rules.d/60-kvmnet.rules"
    check 'staging: the unit' holds '"/usr/bin/kvmnet" serve' "$scratch/stage/usr/lib/systemd/system/kvmnet-serve@.service"
    check 'staging: what comes after a firewall' holds '-"/usr/bin/kvmnet" apply' \
        "$scratch/stage/usr/lib/systemd/system/ufw.service.d/kvmnet.conf"
    check 'staging: the helper' [ -x "$scratch/stage/usr/lib/kvmnet/kvmnet-bridge-helper" ]
    check 'staging: the lock' [ -f "$scratch/stage/usr/lib/tmpfiles.d/kvmnet.conf" ]
    check 'staging: bash completes' [ -f "$scratch/stage/usr/share/bash-completion/completions/kvmnet" ]
    check 'staging: fish completes' [ -f "$scratch/stage/usr/share/fish/vendor_completions.d/kvmnet.fish" ]
    check 'staging: the documents' [ -f "$scratch/stage/usr/share/doc/kvmnet/status.md" ]
    rm -r "$scratch/stage/usr/share/doc"
    check 'staging: nothing else' [ "$(find "$scratch/stage" ! -type d | wc -l)" = 41 ]
    check 'staging: nothing to uninstall' answer 1 env DESTDIR="$scratch/stage" "$checkout/install.sh" --uninstall
}

# answer CODE COMMAND...: whether the command ends with this code.
answer() {
    local expected=$1 code=0
    shift
    "$@" >"$scratch/log" 2>&1 </dev/null || code=$?
    [ "$code" = "$expected" ]
}

command_line() {
    fresh_machine
    # The checkout itself may be where nobody but root can look.
    mkdir "$scratch/readable"
    cp -r "$checkout/install.sh" "$scratch/readable/"
    mkdir "$scratch/readable/tests"
    cp "$checkout/tests/prepare.sh" "$scratch/readable/tests/"
    chmod 755 "$scratch"
    local nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups "$scratch/readable/install.sh")
    check 'without root: refused' answer 1 "${nobody[@]}"
    check 'without root: says what to type' holds 'sudo ./install.sh' "$scratch/log"
    check 'without root, --uninstall: refused' answer 1 "${nobody[@]}" --uninstall
    check 'without root, --try: refused' answer 1 "${nobody[@]}" --try
    check 'unknown argument: usage' answer 2 "$checkout/install.sh" --instal
    check 'two arguments: usage' answer 2 "$checkout/install.sh" --try --uninstall
    check '--help: usage' answer 0 "$checkout/install.sh" --help
}

# without_dpkg: dpkg-divert is covered by a file that is not a program, and the same cases run again.
without_dpkg() {
    with_dpkg=
    local divert
    divert=$(command -v dpkg-divert) && mount --bind /dev/null "$divert"
    echo '--- without dpkg'
    bare_machine
    somebodys_scripts
    half_installed
    replaced_afterwards
}

with_dpkg=
if command -v dpkg-divert >/dev/null; then
    with_dpkg=yes
    make_packages
    package_before
    package_upgraded
    package_after
    package_purged
fi
bare_machine
elsewhere
elsewhere_before
killed_at_the_folder
a_network_is_up
somebodys_scripts
configuration
half_installed
replaced_afterwards
staging
command_line
[ -z "$with_dpkg" ] || without_dpkg

echo "install.sh: $passed checks passed, $failed failed"
[ "$failed" = 0 ]
