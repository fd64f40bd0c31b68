//! What the tests of rooms with a time to live have in common: that it does not matter what is in memory.

use crate::harness::Harness;
use arrow::datatypes::SchemaRef;
use eddyline_functions::scalar::Moment;
use eddyline_plan::OperatorSpec;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A change of input `input` by its row `row`, taken back if it is there and `takes`; `wait_ms` after the one before. Changes without a wait between them
/// are of one epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Touch {
    /// The number of the input.
    pub(crate) input: usize,
    /// The number of the row.
    pub(crate) row: usize,
    /// Whether it is taken back.
    pub(crate) takes: bool,
    /// How much later than the one before.
    pub(crate) wait_ms: i64,
}

/// An operator that forgets what was not touched for ten milliseconds puts out the same whether everything is in memory, or memory is
/// always short and it restarts now and then; and in the end all is forgotten. `rows` are those of each input.
pub(crate) fn forgets_alike(spec: &OperatorSpec, inputs: &[SchemaRef], rows: &[&[&str]], touches: &[Touch]) {
    let open = || Harness::forgetting(spec.clone(), inputs, 10).expect("builds");
    let (mut free, mut tight) = (open(), open().tight(true));
    let (mut now_ms, mut there) = (1_000, BTreeMap::<(usize, usize), i64>::new());
    let end = [Touch { input: 0, row: 0, takes: true, wait_ms: 1_000 }; 2];
    for (at, Touch { input, row, takes, wait_ms }) in touches.iter().chain(&end).copied().enumerate() {
        if wait_ms > 0 {
            let came = [&mut free, &mut tight].map(|h| h.flush().expect("flushes"));
            assert_eq!(came[0], came[1], "at {now_ms}");
            if at % 3 == 0 {
                tight.restart().expect("restarts");
            }
            now_ms += wait_ms;
            [&mut free, &mut tight].into_iter().for_each(|h| h.stand_at(Moment { wall_ms: now_ms, seed: 0 }));
        }
        let (input, row) = (input % rows.len(), row % rows[input % rows.len()].len());
        let copies = there.entry((input, row)).or_default();
        if takes && (*copies == 0 || wait_ms == 1_000) {
            continue;
        }
        *copies += if takes { -1 } else { 1 };
        let change = format!("{} {}", if takes { '-' } else { '+' }, rows[input][row]);
        for h in [&mut free, &mut tight] {
            h.process_on(input, &change).expect("processes");
        }
    }
    for h in [&mut free, &mut tight] {
        h.flush().expect("flushes");
        h.restart().expect("restarts");
        h.flush().expect("flushes");
        assert_eq!(h.state(), []);
    }
}

/// Random changes, some of which are taken back if `takes`.
pub(crate) fn touches(takes: bool) -> impl Strategy<Value = Vec<Touch>> {
    let touch = (0..2usize, 0..12usize, any::<bool>(), prop_oneof![2 => Just(0i64), 3 => 1..7i64]);
    let touch = touch.prop_map(move |(input, row, back, wait_ms)| Touch { input, row, takes: back && takes, wait_ms });
    prop::collection::vec(touch, 0..50)
}
