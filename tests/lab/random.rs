//! Numbers without order, the same in each run: xorshift64 (Marsaglia, 2003).

/// A sequence of numbers that its seed determines.
pub struct Random(u64);

impl Random {
    /// The sequence of a seed, which must not be zero.
    pub fn new(seed: u64) -> Self {
        assert_ne!(seed, 0, "zero makes nothing but zeros");
        Self(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).expect("a usize fits")).expect("it is below a usize")
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Puts them into another order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
