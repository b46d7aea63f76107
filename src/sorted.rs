//! Short lists in order. The standard library's sort is fast for long ones, and costs a hook 5 KB for each type of element.

use std::collections::HashMap;
use std::hash::Hash;

/// The items by their keys; those with equal keys stay in their order.
pub fn sorted_by_key<T, K: Ord>(items: impl IntoIterator<Item = T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut sorted = Vec::new();
    for item in items {
        let at = sorted.partition_point(|before| key(before) <= key(&item));
        sorted.insert(at, item);
    }
    sorted
}

/// The values by their keys; those of one key stay in their order.
pub fn grouped<K: Eq + Hash, V>(pairs: impl IntoIterator<Item = (K, V)>) -> HashMap<K, Vec<V>> {
    let mut groups = HashMap::new();
    for (key, value) in pairs {
        groups.entry(key).or_insert_with(Vec::new).push(value);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_stay_in_their_order() {
        let sorted = sorted_by_key([(2, 'a'), (1, 'b'), (2, 'c'), (0, 'd'), (1, 'e')], |(key, _)| *key);
        assert_eq!(sorted, [(0, 'd'), (1, 'b'), (1, 'e'), (2, 'a'), (2, 'c')]);
    }
}
