//! Classic BPF, put together (`linux/filter.h`). Every check goes on to the next one or ends: no jump is longer than its block.
//!
//! A load behind the end of a frame would end the program with 0, which lets the frame through: so the length is asked first.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Program;
use crate::model::filter::{DROP, PASS};
use crate::model::{Instruction, Mac};

const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
/// The same behind X.
const LOAD_WORD_X: u16 = 0x40;
const LOAD_HALF_X: u16 = 0x48;
const LOAD_BYTE_X: u16 = 0x50;
const LOAD_LENGTH: u16 = 0x80;
/// X = 4 * (byte & 15): the length of an IPv4 header.
const HEADER_LENGTH_TO_X: u16 = 0xb1;
const NUMBER_TO_X: u16 = 0x01;
const A_TO_X: u16 = 0x07;
const X_TO_A: u16 = 0x87;
const ADD: u16 = 0x04;
const LESS_X: u16 = 0x1c;
const AND: u16 = 0x54;
const GO: u16 = 0x05;
const IS: u16 = 0x15;
const IS_X: u16 = 0x1d;
const AT_LEAST: u16 = 0x35;
const AT_LEAST_X: u16 = 0x3d;
const HAS_BITS: u16 = 0x45;
/// SKF_AD_VLAN_TAG_PRESENT.
const TAG_PRESENT: u32 = 0xffff_f030;

/// A part of a frame, and what it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    load: u16,
    at: u32,
    mask: u32,
    value: u32,
}

/// The MAC at a place.
pub(super) fn mac_at(at: u32, mac: Mac) -> Vec<Part> {
    mac_by([LOAD_WORD, LOAD_HALF], at, mac)
}

/// The MAC at a place behind X.
pub(super) fn mac_behind(at: u32, mac: Mac) -> Vec<Part> {
    mac_by([LOAD_WORD_X, LOAD_HALF_X], at, mac)
}

fn mac_by([word, half]: [u16; 2], at: u32, Mac([a, b, c, d, e, f]): Mac) -> Vec<Part> {
    let (first, last) = (u32::from_be_bytes([a, b, c, d]), u32::from(u16::from_be_bytes([e, f])));
    let part = |load, at, value| Part { load, at, mask: u32::MAX, value };
    vec![part(word, at, first), part(half, at + 4, last)]
}

/// The address at a place is in a subnet.
pub(super) fn address_at(at: u32, net: IpNet) -> Vec<Part> {
    let (network, netmask) = (words(net.network()), words(net.netmask()));
    let parts = (0..).zip(network).zip(netmask).map(|((number, value), mask)| Part {
        load: LOAD_WORD,
        at: at + 4 * number,
        mask,
        value,
    });
    parts.filter(|part| part.mask != 0).collect()
}

fn words(address: IpAddr) -> Vec<u32> {
    match address {
        IpAddr::V4(v4) => vec![u32::from(v4)],
        IpAddr::V6(v6) => {
            let word = |shift: u32| (u128::from(v6) >> shift) as u32;
            [96, 64, 32, 0].map(word).into()
        }
    }
}

/// Jumps to a place that is yet to come.
pub(super) type Jumps = Vec<usize>;

#[derive(Debug, Default)]
pub(super) struct Assembler(Program);

impl Assembler {
    pub fn finish(self) -> Program {
        self.0
    }

    fn put(&mut self, code: u16, operand: u32) -> &mut Self {
        self.0.push((code, 0, 0, operand));
        self
    }

    pub fn drop(&mut self) {
        self.0.push(DROP);
    }

    pub fn pass(&mut self) {
        self.0.push(PASS);
    }

    pub fn load_word(&mut self, at: u32) -> &mut Self {
        self.put(LOAD_WORD, at)
    }

    pub fn load_half(&mut self, at: u32) -> &mut Self {
        self.put(LOAD_HALF, at)
    }

    pub fn load_byte(&mut self, at: u32) -> &mut Self {
        self.put(LOAD_BYTE, at)
    }

    /// Behind the header that [`Assembler::behind_header`] has found.
    pub fn load_half_behind(&mut self, at: u32) -> &mut Self {
        self.put(LOAD_HALF_X, at)
    }

    pub fn load_byte_behind(&mut self, at: u32) -> &mut Self {
        self.put(LOAD_BYTE_X, at)
    }

    pub fn load_tag_present(&mut self) -> &mut Self {
        self.put(LOAD_BYTE, TAG_PRESENT)
    }

    pub fn mask(&mut self, mask: u32) -> &mut Self {
        self.put(AND, mask)
    }

    fn require(&mut self, code: u16, operand: u32) {
        self.0.extend([(code, 1, 0, operand), DROP]);
    }

    fn refuse(&mut self, code: u16, operand: u32) {
        self.0.extend([(code, 0, 1, operand), DROP]);
    }

    pub fn require_equal(&mut self, value: u32) {
        self.require(IS, value);
    }

    pub fn require_at_least(&mut self, value: u32) {
        self.require(AT_LEAST, value);
    }

    pub fn refuse_any(&mut self, values: &[u32]) {
        values.iter().for_each(|value| self.refuse(IS, *value));
    }

    pub fn refuse_at_least(&mut self, value: u32) {
        self.refuse(AT_LEAST, value);
    }

    pub fn refuse_bits(&mut self, bits: u32) {
        self.refuse(HAS_BITS, bits);
    }

    /// The frame has so many bytes.
    pub fn at_least(&mut self, length: u32) {
        self.put(LOAD_LENGTH, 0).require_at_least(length);
    }

    /// A frame that has less than this behind X passes; it has X bytes at least.
    pub fn pass_if_less_behind(&mut self, length: u32) {
        self.put(LOAD_LENGTH, 0).put(LESS_X, 0);
        self.0.extend([(AT_LEAST, 1, 0, length), PASS]);
    }

    pub fn set_x(&mut self, number: u32) -> &mut Self {
        self.put(NUMBER_TO_X, number)
    }

    pub fn add(&mut self, number: u32) -> &mut Self {
        self.put(ADD, number)
    }

    /// X is the length of the IPv4 header that begins here, and behind it are so many bytes.
    pub fn behind_header(&mut self, at: u32, length: u32) {
        self.put(HEADER_LENGTH_TO_X, at).put(X_TO_A, 0).put(ADD, at + length).put(A_TO_X, 0);
        self.put(LOAD_LENGTH, 0).require(AT_LEAST_X, 0);
        self.put(HEADER_LENGTH_TO_X, at);
    }

    /// Two MACs of a frame are the same.
    pub fn require_same_mac(&mut self, one: u32, other: u32) {
        self.load_word(one).put(A_TO_X, 0).load_word(other).require(IS_X, 0);
        self.load_half(one + 4).put(A_TO_X, 0).load_half(other + 4).require(IS_X, 0);
    }

    /// What happens where a condition holds. What it does not end goes on behind it, and so does the rest, which has A as it was.
    fn when(&mut self, code: u16, operand: u32, body: impl FnOnce(&mut Self)) {
        self.put_jump((code, 1, 0, operand), body);
    }

    pub fn when_equal(&mut self, value: u32, body: impl FnOnce(&mut Self)) {
        self.when(IS, value, body);
    }

    pub fn when_below(&mut self, value: u32, body: impl FnOnce(&mut Self)) {
        self.put_jump((AT_LEAST, 0, 1, value), body);
    }

    /// Goes on at a place that is yet to come.
    pub fn go(&mut self, to: &mut Jumps) {
        to.push(self.0.len());
        self.put(GO, 0);
    }

    /// The same, if A is this.
    pub fn go_if(&mut self, value: u32, to: &mut Jumps) {
        self.0.push((IS, 0, 1, value));
        self.go(to);
    }

    /// The place that these jumps lead to.
    pub fn here(&mut self, jumps: Jumps) {
        jumps.into_iter().for_each(|at| self.land(at));
    }

    pub fn when_bits(&mut self, bits: u32, body: impl FnOnce(&mut Self)) {
        self.when(HAS_BITS, bits, body);
    }

    /// What happens where all these parts are so.
    pub fn when_all(&mut self, parts: &[Part], body: impl FnOnce(&mut Self)) {
        self.0.extend(tests(parts));
        self.put_jump((GO, 0, 0, 1), body);
    }

    /// An instruction that skips the next one, which goes past the body.
    fn put_jump(&mut self, skip: Instruction, body: impl FnOnce(&mut Self)) {
        self.0.push(skip);
        let at = self.0.len();
        self.put(GO, 0);
        body(self);
        self.land(at);
    }

    /// The jump at this place leads here.
    fn land(&mut self, at: usize) {
        let past = (self.0.len() - at - 1) as u32;
        if let Some((.., operand)) = self.0.get_mut(at) {
            *operand = past;
        }
    }

    /// One of these is so, in all its parts; else the frame is dropped.
    pub fn one_of(&mut self, alternatives: Vec<Vec<Part>>) {
        let mut found = Jumps::new();
        for parts in &alternatives {
            self.0.extend(tests(parts));
            self.go(&mut found);
        }
        self.drop();
        self.here(found);
    }

    /// None of these is so in all its parts.
    pub fn none_of(&mut self, alternatives: impl IntoIterator<Item = Vec<Part>>) {
        for parts in alternatives {
            self.0.extend(tests(&parts));
            self.drop();
        }
    }
}

/// Each part is compared; the first that differs leads past the one instruction that follows.
fn tests(parts: &[Part]) -> Program {
    let mut block = Vec::new();
    for Part { load, at, mask, value } in parts {
        block.push((*load, 0, 0, *at));
        block.extend((*mask != u32::MAX).then_some((AND, 0, 0, *mask)));
        block.push((IS, 0, 0, *value));
    }
    let length = block.len();
    for (at, (code, _, past, _)) in block.iter_mut().enumerate() {
        if *code == IS {
            *past = (length - at) as u8;
        }
    }
    block
}
