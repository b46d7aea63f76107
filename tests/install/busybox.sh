#!/bin/sh
# Whether install.sh does its work where there is nothing but busybox, as on Alpine: no dpkg, no systemd, no udev, no getent.
#   busybox.sh BUSYBOX HOOKS      (root; a static busybox, and the folder of the finished programs)
# In a root of its own, and in namespaces; the compiler, which has nothing left to do, is a stand-in.
set -eu

checkout=$(cd "$(dirname "$0")/../.." && pwd)

if [ "${3-}" != --inside ]; then
    [ $# = 2 ] || { sed -n '3s/^# *//p' "$0" >&2; exit 2; }
    exec unshare --mount --net --pid --fork "$0" "$1" "$2" --inside
fi

root=$(mktemp -d)
trap 'cd /; umount -l "$root"; rmdir "$root"' EXIT
mount -t tmpfs kvmnet-busybox "$root"
for folder in bin usr/bin etc/ssl/certs proc run sys dev var/lib tmp home/user/target/host/release; do
    mkdir -p "$root/$folder"
done
chmod 1777 "$root/tmp"
cp "$1" "$root/bin/busybox"
for applet in $("$1" --list); do
    [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
(cd "$checkout" && cp -r install.sh Cargo.toml README.md docs share tests "$root/home/user/")
cp "$2/qemu-ifup" "$2/qemu-ifdown" "$2/kvmnet" "$2/kvmnet-bridge-helper" "$root/home/user/target/host/release/"
printf 'root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\nuser:x:1000:\n' >"$root/etc/group"
touch "$root/etc/ssl/certs/one.pem"
printf '#!/bin/sh\necho /usr/lib/libc.a\n' >"$root/usr/bin/cc"
printf '#!/bin/sh\necho host: host\n' >"$root/usr/bin/rustc"
printf '#!/bin/sh\nid -un >>/tmp/builders\necho cargo 99.0.0\n' >"$root/usr/bin/cargo"
chmod 755 "$root"/usr/bin/*
chown -R 1000:1000 "$root/home/user"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs run "$root/run"
mount --rbind /dev "$root/dev"

# What its people type; each line is said where it fails.
cat >"$root/tmp/typed" <<'END'
set -eu
listing() { find / -xdev ! -path '/tmp*' | sort; }
cd /home/user
listing >/tmp/before
./install.sh
test "$(sort -u /tmp/builders)" = user
/usr/local/bin/kvmnet up default >/tmp/up
ip addr show br0 | grep -q 'inet '
if ./install.sh --uninstall; then exit 1; fi
/usr/local/bin/kvmnet down --force default >/tmp/down
./install.sh --uninstall
listing | diff /tmp/before -
END
if ! chroot "$root" /bin/env -i HOME=/root PATH=/bin:/usr/bin sh -x /tmp/typed >"$root/tmp/log" 2>&1; then
    cat "$root/tmp/log"
    echo 'FAIL  with busybox alone'
    exit 1
fi
if grep 'not found\|invalid option\|unrecognized' "$root/tmp/log"; then
    echo 'FAIL  with busybox alone: something is missing'
    exit 1
fi
echo 'ok    with busybox alone: installs, works, uninstalls'
