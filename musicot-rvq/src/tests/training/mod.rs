mod inside;
mod learner;
mod run;

use musicot_core::CounterRng;
use musicot_core::train::Position;

fn at(step: u64) -> Position {
    Position { step, micro: 0, accumulate: 1, rng: CounterRng::new(9) }
}
