use proptest::prelude::*;

use super::Draws;
use crate::{CacheShape, Error, Isa, KvCache, Scratch, Turn};

/// A cache and what was put into it, `[row][slot]`.
struct Filled {
    cache: KvCache,
    keys: Vec<Vec<Vec<f32>>>,
    values: Vec<Vec<Vec<f32>>>,
}

fn filled(shape: CacheShape, seed: u64) -> Filled {
    let mut draws = Draws::new(seed);
    let mut all = || -> Vec<Vec<Vec<f32>>> {
        let row = |_| (0..shape.slots).map(|_| draws.vector(shape.kv_heads * shape.head_dim)).collect();
        (0..shape.rows).map(row).collect()
    };
    let (keys, values) = (all(), all());
    let mut cache = KvCache::new(shape).unwrap();
    for row in 0..shape.rows {
        for slot in 0..shape.slots {
            cache.put(row, slot, &keys[row][slot], &values[row][slot]).unwrap();
        }
    }
    Filled { cache, keys, values }
}

/// One query head in f64.
fn slow(query: &[f32], keys: &[&[f32]], values: &[&[f32]]) -> Vec<f64> {
    let dot = |key: &&[f32]| key.iter().zip(query).map(|(k, q)| f64::from(*k) * f64::from(*q)).sum::<f64>();
    let weights: Vec<f64> = keys.iter().map(|key| (dot(key) / (query.len() as f64).sqrt()).exp()).collect();
    let total: f64 = weights.iter().sum();
    let at = |dim: usize| weights.iter().zip(values).map(|(w, v)| w * f64::from(v[dim])).sum::<f64>() / total;
    (0..query.len()).map(at).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn attention_agrees(
        half in 1_usize..40, kv_heads in 1_usize..3, group in 1_usize..8, slots in 1_usize..70, seen in any::<(u8, u8)>(), seed in any::<u64>(),
    ) {
        let shape = CacheShape { rows: 2, kv_heads, head_dim: 2 * half, slots };
        let Filled { cache, keys, values } = filled(shape, seed);
        let start = usize::from(seen.0) % slots;
        let end = start + 1 + usize::from(seen.1) % (slots - start);
        let head = 2 * half;
        let query = Draws::new(seed ^ 1).vector(kv_heads * group * head);
        for isa in Isa::available() {
            let mut y = vec![0.0; query.len()];
            cache.attend(isa, 1, &query, start..end, &mut Scratch::default(), &mut y).unwrap();
            for (index, (query, y)) in query.chunks(head).zip(y.chunks(head)).enumerate() {
                let own = index / group * head..(index / group + 1) * head;
                let part = |all: &'_ [Vec<Vec<f32>>]| -> Vec<Vec<f32>> {
                    all[1][start..end].iter().map(|slot| slot[own.clone()].to_vec()).collect()
                };
                let (keys, values) = (part(&keys), part(&values));
                let refs = |all: &'_ [Vec<f32>]| -> Vec<Vec<f32>> { all.to_vec() };
                let (keys, values) = (refs(&keys), refs(&values));
                let expected = slow(
                    query,
                    &keys.iter().map(Vec::as_slice).collect::<Vec<_>>(),
                    &values.iter().map(Vec::as_slice).collect::<Vec<_>>(),
                );
                for (y, expected) in y.iter().zip(expected) {
                    // Scores of at most about 40 are rounded by about 3e-6 of a unit, which is the relative error of a weight; values are at most 3.5.
                    prop_assert!((f64::from(*y) - expected).abs() < 3e-5, "{}: {y} for {expected}", isa.name());
                }
            }
        }
    }

    /// Padding in front, or another place in the cache, must not be heard.
    #[test]
    fn the_same_slots_elsewhere_are_the_same_bytes(count in 1_usize..40, moved in 0_usize..40, seed in any::<u64>()) {
        let shape = CacheShape { rows: 1, kv_heads: 1, head_dim: 6, slots: 80 };
        let mut draws = Draws::new(seed);
        let query = draws.vector(18);
        let (mut here, mut there) = (KvCache::new(shape).unwrap(), KvCache::new(shape).unwrap());
        for slot in 0..count {
            let (key, value) = (draws.vector(6), draws.vector(6));
            here.put(0, slot, &key, &value).unwrap();
            there.put(0, slot + moved, &key, &value).unwrap();
        }
        for isa in Isa::available() {
            let (mut a, mut b) = ([0.0; 18], [1.0; 18]);
            here.attend(isa, 0, &query, 0..count, &mut Scratch::default(), &mut a).unwrap();
            there.attend(isa, 0, &query, moved..moved + count, &mut Scratch::default(), &mut b).unwrap();
            prop_assert_eq!(a, b);
        }
    }

    #[test]
    fn first_keys_are_turned_from_where_they_were_put(first in 0_usize..=40, seed in any::<u64>()) {
        let shape = CacheShape { rows: 2, kv_heads: 2, head_dim: 4, slots: 40 };
        let turns = [3.0, 11.0].map(|by| Turn::new(by, &[1.0, 0.1]));
        for isa in Isa::available() {
            let Filled { mut cache, keys, values } = filled(shape, seed);
            let mut expected = KvCache::new(shape).unwrap();
            for row in 0..2 {
                for slot in 0..40 {
                    let mut key = keys[row][slot].clone();
                    if slot < first {
                        turns[1].apply(isa, &mut key).unwrap();
                    }
                    expected.put(row, slot, &key, &values[row][slot]).unwrap();
                }
            }
            for turn in &turns {
                cache.turn_first(isa, first, turn).unwrap();
            }
            prop_assert_eq!(&cache.keys, &expected.keys);
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let shape = CacheShape { rows: 1, kv_heads: 2, head_dim: 4, slots: 5 };
    let refused = |result: crate::Result<()>| matches!(result, Err(Error::Shape { .. }));
    assert!(refused(KvCache::new(CacheShape { slots: 0, ..shape }).map(drop)));
    assert!(refused(KvCache::new(CacheShape { slots: usize::MAX / 2, ..shape }).map(drop)), "no memory");
    let mut cache = KvCache::new(shape).unwrap();
    let eight = [0.5; 8];
    assert!(cache.put(0, 4, &eight, &eight).is_ok());
    assert!(refused(cache.put(0, 5, &eight, &eight)));
    assert!(refused(cache.put(1, 0, &eight, &eight)));
    assert!(refused(cache.put(0, 0, &eight[..7], &eight)));
    assert!(refused(cache.put(0, 0, &eight, &eight[..7])));
    let mut y = [0.0; 8];
    let mut attend = |row, query: &[f32], seen| {
        cache.attend(Isa::best(), row, query, seen, &mut Scratch::default(), &mut y)
    };
    assert!(attend(0, &eight, 0..5).is_ok());
    assert!(refused(attend(0, &eight, 0..6)));
    assert!(refused(attend(0, &eight, 2..2)));
    assert!(refused(attend(1, &eight, 0..5)));
    assert!(refused(attend(0, &eight[..6], 0..5)));
    assert!(refused(attend(0, &[], 0..5)));
    assert!(refused(cache.turn_first(Isa::best(), 6, &Turn::new(1.0, &[1.0; 2]))));
    assert!(refused(cache.turn_first(Isa::best(), 5, &Turn::new(1.0, &[1.0; 3]))));
}
