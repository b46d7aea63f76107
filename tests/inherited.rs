//! What a hook inherits decides nothing: it does all of its work, or none, or the next one puts right what it began.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use lab::bench::{DOWN, NAME, UP};
use lab::{Bench, Hook, Network, Ran};

/// What a shell does before it becomes the hook, and whether the hook can work all the same.
const INHERITED: [(&str, bool); 26] = [
    ("exec 0<&- 1>&- 2>&-", true),
    ("exec 0<&- 2>&-", true),
    ("exec 1>/dev/full 2>/dev/full", true),
    ("umask 777", true),
    ("umask 000", true),
    ("mkdir /run/lab/gone; cd /run/lab/gone; rmdir /run/lab/gone", true),
    ("trap '' ALRM PIPE XFSZ CHLD HUP INT TERM USR1 XCPU TSTP", true),
    ("ulimit -f 0", true),
    ("ulimit -c unlimited", true),
    ("ulimit -l 0", true),
    ("ulimit -u 0", true),
    ("ulimit -n 3", false),
    ("ulimit -n 4", false),
    ("ulimit -n 5", false),
    ("ulimit -n 6", false),
    ("ulimit -n 7", false),
    ("ulimit -n 8", false),
    ("ulimit -v 1000", false),
    ("ulimit -v 4000", false),
    ("ulimit -s 16", false),
    ("ulimit -s 64", false),
    ("ulimit -t 0", false),
    (
        "export LD_PRELOAD=/run/lab/x.so LD_LIBRARY_PATH=/run/lab GLIBC_TUNABLES=glibc.malloc.check=3 TZ=:/run/lab/x LC_ALL=../../run/lab/x LOCPATH=/run/lab RUST_BACKTRACE=full MALLOC_CHECK_=7 PATH=/run/lab HOME=/run/lab TMPDIR=/run/lab",
        true,
    ),
    ("echo 1000 >/proc/self/oom_score_adj", true),
    ("exec 3</etc/shadow 4</proc/self/mem 5>/run/lab/file 9</dev/null", true),
    ("ulimit -i 0", true),
];

fn run(bench: &Bench, before: &str, hook: &str) -> Ran {
    let line = format!("{before}\nexec {hook} {NAME}");
    Hook::new(&bench.lab.host, "/bin/bash", &["-c", &line]).tap(&bench.tap).run()
}

#[test]
fn a_hook_does_its_work_or_nothing() {
    let bench = Bench::new(Network::NAT);
    for (before, works) in INHERITED {
        let ran = run(&bench, before, UP);
        assert!(!works || ran.status == 0, "{before}: {ran:?}");
        if ran.status == 0 {
            bench.assert_on(before);
        }
        // One that was killed has left what the next one finds.
        bench.hook(UP).ok();
        bench.assert_on(before);
        let ran = run(&bench, before, DOWN);
        assert!(!works || ran.status == 0, "{before}: {ran:?}");
        if ran.status == 0 {
            bench.assert_off(before);
        }
        bench.hook(DOWN).ok();
        bench.assert_off(before);
    }
    let file = bench.lab.host.enter(|| std::fs::metadata("/run/lab/file").unwrap().len());
    assert_eq!(file, 0, "nothing is written to files that it was given");
}
