//! Which file is taken for the configuration: one that only root, or the user at work, can have put there. And none hangs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use lab::{Cli, Lab, Network, Said};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, chown, mkfifo};

const USAGE: i32 = 2;
const ROOT: u32 = 0;
const USER: u32 = 4711;
const OTHERS: &str = "who could decide what root does";

/// A host with a folder for files, /run/f, which is root's.
fn lab() -> Lab {
    let lab = Lab::new(Network::NAT);
    lab.host.enter(|| fs::create_dir("/run/f").unwrap());
    lab
}

fn show(lab: &Lab, path: &str, user: u32) -> Said {
    let said = Cli::new(&lab.host, &["config", "show"]).env("KVMNET_CONFIG", path);
    if user == ROOT { said.run() } else { said.user(user).run() }
}

/// The mode that the file says.
#[track_caller]
fn mode(lab: &Lab, path: &str, user: u32) -> String {
    let shown = show(lab, path, user).ok();
    shown.split('"').nth(1).unwrap().to_owned()
}

/// It is refused with these words.
#[track_caller]
fn refused(lab: &Lab, path: &str, user: u32, words: &str) {
    let said = show(lab, path, user);
    assert!(said.status == USAGE && said.out.is_empty() && said.err.contains(words), "{path}: {}", said.err);
}

fn write(path: &str, text: &str, mode: u32, user: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    own(path, user);
}

fn folder(path: &str, mode: u32, user: u32) {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    own(path, user);
}

fn own(path: &str, user: u32) {
    chown(path, Some(Uid::from_raw(user)), Some(Gid::from_raw(user))).unwrap();
}

const ISOLATED: &str = "mode = 'isolated'\n";

#[test]
fn the_file_and_links_to_it() {
    let lab = lab();
    lab.host.enter(|| {
        write("/run/f/a.conf", ISOLATED, 0o644, ROOT);
        symlink("a.conf", "/run/f/near").unwrap();
        symlink("/run/f/../f/./near", "/run/f/far").unwrap();
        symlink("/run/f", "/run/g").unwrap();
        symlink("loop", "/run/f/loop").unwrap();
        symlink("/no/disk/kvmnet.conf", "/run/f/nowhere").unwrap();
    });
    for path in
        ["/run/f/a.conf", "/run/f/near", "/run/f/far", "/run/g/far", "/run//f/./a.conf", "/run/g/../f/a.conf"]
    {
        for user in [ROOT, USER] {
            assert_eq!(mode(&lab, path, user), "isolated", "{path}");
        }
    }
    refused(&lab, "/run/f/loop", ROOT, "cannot open it: Too many levels of symbolic links");
    refused(&lab, "/run/f/a.conf/x", ROOT, "cannot open it: Not a directory");
    refused(&lab, "/run/f/none", ROOT, "there is no file \"/run/f/none\"");
    refused(&lab, "no/such.conf", ROOT, "write the whole path, from / on");
    let nowhere = "it is a link to /no/disk/kvmnet.conf, which does not exist\nhint: mount what holds that file, or: rm /run/f/nowhere";
    refused(&lab, "/run/f/nowhere", ROOT, nowhere);
}

#[test]
fn what_others_may_write() {
    let lab = lab();
    let writable = "users other than its owner can write to it, and so decide what root does";
    for bits in [0o664, 0o646, 0o620, 0o602] {
        lab.host.enter(|| write("/run/f/it's a file", ISOLATED, bits, ROOT));
        refused(&lab, "/run/f/it's a file", ROOT, writable);
        let said = show(&lab, "/run/f/it's a file", ROOT).err;
        assert!(
            said.ends_with("hint: chmod go-w '/run/f/it'\\''s a file'\n"),
            "the hint can be typed: {said}"
        );
    }
    lab.host.enter(|| write("/run/f/theirs", ISOLATED, 0o644, USER));
    refused(&lab, "/run/f/theirs", ROOT, &format!("it belongs to user {USER}, {OTHERS}"));
    assert_eq!(mode(&lab, "/run/f/theirs", USER), "isolated", "for that user it is as good as root's");
}

/// Whoever may write to a directory puts another file in the place of root's.
#[test]
fn directories_on_the_way() {
    let lab = lab();
    let writable = |path: &str| {
        format!("users other than its owner can write to its directory {path}, and so decide what root does")
    };
    for (number, (bits, user)) in
        [(0o777, ROOT), (0o1777, ROOT), (0o775, ROOT), (0o755, USER)].into_iter().enumerate()
    {
        let path = format!("/run/f/{number}");
        lab.host.enter(|| {
            folder(&path, bits, user);
            folder(&format!("{path}/in"), 0o755, ROOT);
            write(&format!("{path}/in/a.conf"), ISOLATED, 0o644, ROOT);
            symlink(format!("{path}/in/a.conf"), format!("/run/f/to-{number}")).unwrap();
        });
        let words = match user {
            ROOT => writable(&path),
            user => format!("its directory {path} belongs to user {user}, {OTHERS}"),
        };
        refused(&lab, &format!("{path}/in/a.conf"), ROOT, &words);
        refused(&lab, &format!("/run/f/to-{number}"), ROOT, &words);
        let said = show(&lab, &format!("{path}/in/a.conf"), ROOT).err;
        assert!(said.contains("hint: move it to where only root can write, as in /etc"), "{said}");
        match user {
            ROOT => refused(&lab, &format!("{path}/in/a.conf"), USER, &words),
            user => assert_eq!(mode(&lab, &format!("{path}/in/a.conf"), user), "isolated"),
        }
    }
}

/// A link is as good as who made it.
#[test]
fn links_of_others() {
    let lab = lab();
    lab.host.enter(|| {
        write("/run/f/a.conf", ISOLATED, 0o644, ROOT);
        symlink("/run/f/a.conf", "/run/f/link").unwrap();
        symlink("/run/f", "/run/way").unwrap();
        for link in ["/run/f/link", "/run/way"] {
            std::os::unix::fs::lchown(link, Some(USER), Some(USER)).unwrap();
        }
    });
    for (path, link) in [("/run/f/link", "/run/f/link"), ("/run/way/a.conf", "/run/way")] {
        refused(&lab, path, ROOT, &format!("{link} is a link of user {USER}, {OTHERS}\nhint: rm {link}"));
        assert_eq!(mode(&lab, path, USER), "isolated");
    }
}

/// Where the file usually is, its directory is not asked about, and all else is as everywhere.
#[test]
fn the_usual_file() {
    let lab = lab();
    let shown = |user| {
        let said = Cli::new(&lab.host, &["config", "show"]);
        if user == ROOT { said.run() } else { said.user(user).run() }
    };
    lab.host.run("rm /etc/kvmnet.conf");
    lab.host.enter(|| {
        write("/run/f/a.conf", ISOLATED, 0o644, ROOT);
        symlink("/run/f/a.conf", "/etc/kvmnet.conf").unwrap();
    });
    assert!(shown(ROOT).ok().contains("\"isolated\"") && shown(USER).ok().contains("\"isolated\""));
    lab.host.run("chmod 777 /run/f");
    assert!(shown(ROOT).complains(USAGE).contains("its directory /run/f"));
    lab.host.run("rm /run/f/a.conf");
    lab.host.run("chmod 755 /run/f");
    assert!(shown(ROOT).complains(USAGE).contains("it is a link to /run/f/a.conf, which does not exist"));
    for (user, mode) in [(ROOT, 0o666), (USER, 0o644)] {
        lab.host.run("rm -f /etc/kvmnet.conf");
        lab.host.enter(|| write("/etc/kvmnet.conf", ISOLATED, mode, user));
        assert!(shown(ROOT).complains(USAGE).contains("decide what root does"));
    }
}

/// Each of these would be waited for, or be read without end.
#[test]
fn what_is_not_a_file_does_not_hang() {
    let lab = lab();
    let _socket = lab.host.enter(|| {
        mkfifo("/run/f/fifo", Mode::from_bits_truncate(0o600)).unwrap();
        fs::File::create("/run/f/large").unwrap().set_len(4 << 30).unwrap();
        write("/run/f/255", &"\n".repeat(256 * 1024), 0o644, ROOT);
        write("/run/f/257", &"\n".repeat(256 * 1024 + 1), 0o644, ROOT);
        UnixListener::bind("/run/f/socket").unwrap()
    });
    assert_eq!(mode(&lab, "/run/f/255", ROOT), "nat");
    let not = "it is not a regular file";
    let made = "it is not a file that anybody wrote";
    let large = "it is larger than 256 KiB";
    for (path, words) in [
        ("/run/f/fifo", not),
        ("/run/f/socket", not),
        ("/run/f", not),
        ("/", not),
        ("/run/f/..", not),
        ("/dev/null", not),
        ("/dev/zero", not),
        ("/proc/self/environ", made),
        ("/proc/sys/kernel/hostname", made),
        ("/sys/kernel/uevent_seqnum", made),
        ("/run/f/large", large),
        ("/run/f/257", large),
    ] {
        refused(&lab, path, ROOT, words);
        // And where a hook looks first.
        lab.host.run("rm -f /etc/kvmnet.conf");
        lab.host.enter(|| symlink(path, "/etc/kvmnet.conf").unwrap());
        assert_eq!(lab.ifup(&lab.boot(1)).status, USAGE, "{path}");
    }
    for make in ["mkfifo /etc/kvmnet.conf", "mkdir /etc/kvmnet.conf", "mknod /etc/kvmnet.conf c 1 5"] {
        lab.host.run("rm -rf /etc/kvmnet.conf");
        lab.host.run(make);
        assert!(lab.ifup(&lab.boot(1)).stderr.contains(not), "{make}");
    }
    lab.host.run("rm -r /etc/kvmnet.conf");
    let _other = lab.host.enter(|| UnixListener::bind("/etc/kvmnet.conf").unwrap());
    assert!(lab.ifup(&lab.boot(1)).stderr.contains(not));
}

#[test]
fn the_first_error_is_the_topmost() {
    let lab = lab();
    lab.write_config("keep = 1\nmode = 'x'\n");
    let said = lab.ifup(&lab.boot(1));
    assert!(
        said.stderr.contains("/etc/kvmnet.conf:1:8: keep: expected true or false, found 1"),
        "{}",
        said.stderr
    );
}
