//! Flattening.

use ndarray::Array2;
use proptest::prelude::*;

use crate::Order;

proptest! {
    #[test]
    fn both_orders_come_back(windows in 0_usize..9, levels in 1_usize..9) {
        let codes = Array2::from_shape_fn((windows, levels), |(window, level)| (window * 100 + level) as i64);
        for order in [Order::TimeMajor, Order::LevelMajor] {
            let sequence = order.flatten(codes.view());
            prop_assert_eq!(sequence.len(), windows * levels);
            for (index, code) in sequence.iter().enumerate() {
                let (window, level) = match order {
                    Order::TimeMajor => (index / levels, index % levels),
                    Order::LevelMajor => (index % windows, index / windows),
                };
                prop_assert_eq!(*code, codes[[window, level]]);
            }
            prop_assert_eq!(&order.unflatten(&sequence, levels).unwrap(), &codes);
        }
    }

    #[test]
    fn cut_sequences_are_refused(length in 0_usize..40, levels in 0_usize..9) {
        let sequence = vec![0; length];
        for order in [Order::TimeMajor, Order::LevelMajor] {
            let fits = levels > 0 && length % levels == 0;
            prop_assert_eq!(order.unflatten(&sequence, levels).is_ok(), fits);
        }
    }
}

#[test]
fn names_in_files() {
    assert_eq!(serde_json::to_string(&Order::TimeMajor).unwrap(), r#""time_major""#);
    assert_eq!(serde_json::from_str::<Order>(r#""level_major""#).unwrap(), Order::LevelMajor);
    assert_eq!(Order::default(), Order::TimeMajor);
}

#[test]
fn the_error_names_the_multiple() {
    let error = Order::LevelMajor.unflatten(&[1, 2, 3, 4], 3).unwrap_err().to_string();
    assert!(error.contains("a multiple of 3") && error.contains("[4]"), "{error}");
}
