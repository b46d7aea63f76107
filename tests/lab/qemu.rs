//! Real guests: QEMU, which makes the tap and runs the hooks itself.

use std::ops::{Deref, DerefMut};
use std::process::ExitStatus;

use nix::sys::signal::Signal;

use super::network::Place;
use super::{Image, Lab, Vm, eventually};

/// How a person gives a guest its NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `-net nic -net tap,ifname=…,script=/etc/qemu-ifup`
    Net,
    /// `-nic tap,ifname=…`
    Nic,
    /// `-netdev tap,id=n0,ifname=… -device virtio-net-pci,netdev=n0`
    Netdev,
    /// The same with four queues.
    Queues,
}

impl Style {
    fn arguments(self, place: &Place) -> Vec<String> {
        let Place { tap, mac, .. } = place;
        match self {
            Self::Net => vec![
                "-net".into(),
                format!("nic,macaddr={mac}"),
                "-net".into(),
                format!("tap,ifname={tap},script=/etc/qemu-ifup"),
            ],
            Self::Nic => vec!["-nic".into(), format!("tap,ifname={tap},mac={mac}")],
            Self::Netdev => vec![
                "-netdev".into(),
                format!("tap,id=n0,ifname={tap}"),
                "-device".into(),
                format!("virtio-net-pci,netdev=n0,mac={mac},romfile="),
            ],
            Self::Queues => vec![
                "-netdev".into(),
                format!("tap,id=n0,ifname={tap},queues=4"),
                "-device".into(),
                format!("virtio-net-pci,netdev=n0,mq=on,vectors=10,mac={mac},romfile="),
            ],
        }
    }
}

/// Where the QEMU of a guest serves its monitor, QMP.
fn monitor_of(place: &Place) -> String {
    format!("/run/lab/monitor-{}", place.tap)
}

/// A running QEMU on the host of a lab. Without a shutdown it is killed when this value goes.
pub struct Qemu {
    vm: Vm,
    place: Place,
}

impl Deref for Qemu {
    type Target = Vm;

    fn deref(&self) -> &Vm {
        &self.vm
    }
}

impl DerefMut for Qemu {
    fn deref_mut(&mut self) -> &mut Vm {
        &mut self.vm
    }
}

impl Qemu {
    /// Starts QEMU for a guest at this place, and does not wait for it.
    pub fn start(lab: &Lab, place: &Place, style: Style) -> Self {
        let monitor = format!("unix:{},server=on,wait=off", monitor_of(place));
        let mut arguments = vec!["-qmp".to_owned(), monitor];
        arguments.extend(style.arguments(place));
        Self { vm: Vm::start(&lab.host, &place.tap, &Image::busybox(), &arguments), place: place.clone() }
    }

    /// One that somebody else has started for a guest at this place.
    pub fn of(vm: Vm, place: Place) -> Self {
        Self { vm, place }
    }

    /// Waits until a guest that was told to reboot has done so, and gives it its addresses again.
    #[track_caller]
    pub fn ready_again(&mut self) {
        self.vm.booted_again();
        self.ready();
    }

    /// Waits until the guest has booted and its NIC (an e1000 takes its time) has a link, and gives it the addresses and routes of its place.
    #[track_caller]
    pub fn ready(&mut self) {
        self.vm.booted();
        let Place { v4, v6, gateway4, gateway6, .. } = &self.place;
        let setup = format!(
            "echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad && ip addr add {v4}/24 dev eth0 && \
             ip addr add {v6}/64 dev eth0 && ip link set eth0 up && ip route add default via {gateway4} && \
             ip -6 route add default via {gateway6} dev eth0 && \
             until grep -q 1 /sys/class/net/eth0/carrier; do sleep 0.1; done"
        );
        self.vm.must(&setup);
    }

    /// Waits until the guest has booted, and has it told its addresses and routes by the network. Its place is where it then is.
    #[track_caller]
    pub fn ready_by_dhcp(&mut self) {
        self.vm.booted();
        self.vm.must("ip link set eth0 up && udhcpc -i eth0 -n -q -t 20 -T 1");
        for (family, address) in [("-4", &mut self.place.v4), ("-6", &mut self.place.v6)] {
            let show = format!("ip {family} -o addr show dev eth0 scope global | grep -v tentative");
            eventually("the guest has an address", || {
                let said = self.vm.run(&show).1;
                let mut words = said.split_whitespace().skip_while(|word| !word.starts_with("inet"));
                let found = words.nth(1).and_then(|address| address.split('/').next());
                found.is_some_and(|found| {
                    *address = found.to_owned();
                    true
                })
            });
        }
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The path of its monitor, QMP, on the host.
    pub fn monitor(&self) -> String {
        monitor_of(&self.place)
    }

    /// Shuts QEMU down as a person's Ctrl-C or systemd does: it runs the down script, and ends.
    pub fn stop(mut self) -> ExitStatus {
        self.vm.process.signal(Signal::SIGTERM);
        self.vm.process.wait()
    }

    /// Waits for a QEMU that ends by itself, and returns what it said.
    pub fn ends(mut self) -> (ExitStatus, String) {
        let status = self.vm.process.wait();
        (status, self.vm.process.printed())
    }

    /// Ends it without any chance to run a hook.
    pub fn kill(mut self) {
        self.vm.process.signal(Signal::SIGKILL);
        self.vm.process.wait();
    }
}
