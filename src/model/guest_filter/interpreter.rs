//! Runs classic BPF as the kernel does, for tests.
#![allow(clippy::panic)]

use crate::model::Instruction;

/// TC_ACT_OK: what a load behind the end of a frame comes to.
pub(crate) const OUT_OF_BOUNDS: u32 = 0;

/// The verdict about a frame, which had a tag that is off, or had none.
pub(crate) fn run(program: &[Instruction], frame: &[u8], is_tagged: bool) -> u32 {
    let (mut a, mut x) = (0_u32, 0_u32);
    let mut at = 0;
    let load = |place: u32, size: usize| {
        let bytes = frame.get(place as usize..(place as usize).checked_add(size)?)?;
        Some(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    };
    loop {
        let (code, jt, jf, k) = program[at];
        at += 1;
        let mut go = |holds: bool| at += usize::from(if holds { jt } else { jf });
        let loaded = match code {
            0x20 => load(k, 4),
            0x28 => load(k, 2),
            0x40 => load(x.wrapping_add(k), 4),
            0x1c => Some(a.wrapping_sub(x)),
            0x01 => {
                x = k;
                continue;
            }
            0x30 if k == 0xffff_f030 => Some(u32::from(is_tagged)),
            0x30 => load(k, 1),
            0x48 => load(x.wrapping_add(k), 2),
            0x50 => load(x.wrapping_add(k), 1),
            0x80 => Some(frame.len() as u32),
            0xb1 => {
                let Some(byte) = load(k, 1) else { return OUT_OF_BOUNDS };
                x = 4 * (byte & 15);
                continue;
            }
            0x07 => {
                x = a;
                continue;
            }
            0x87 => Some(x),
            0x04 => Some(a.wrapping_add(k)),
            0x54 => Some(a & k),
            0x05 => {
                at += k as usize;
                continue;
            }
            0x15 => {
                go(a == k);
                continue;
            }
            0x1d => {
                go(a == x);
                continue;
            }
            0x35 => {
                go(a >= k);
                continue;
            }
            0x3d => {
                go(a >= x);
                continue;
            }
            0x45 => {
                go(a & k != 0);
                continue;
            }
            0x06 => return k,
            _ => panic!("no instruction of the filter's: {code:#x}"),
        };
        let Some(loaded) = loaded else { return OUT_OF_BOUNDS };
        a = loaded;
    }
}
