//! Random queries against the batch oracle, a fixed set of seeds. Long runs: `cargo xtask fuzz-sql --seconds N`.

use eddyline_sqltest::fuzz::{Kind, run};

fn all(kind: Kind, seeds: std::ops::Range<u64>) {
    let failed: Vec<String> = seeds.filter_map(|seed| run(kind, seed).err()).collect();
    if let Some(first) = failed.first() {
        panic!("{} seeds failed, the first:\n{first}", failed.len());
    }
}

#[test]
fn relational_queries_equal_their_batch_answers() {
    all(Kind::Relational, 0..40);
}

#[test]
fn queries_over_rows_that_replace_each_other_equal_their_batch_answers() {
    all(Kind::Upserts, 0..40);
}

#[test]
fn windows_equal_their_batch_answers_when_they_close() {
    all(Kind::WindowsClosed, 0..40);
}

#[test]
fn windows_equal_their_batch_answers_at_every_moment() {
    all(Kind::WindowsEarly, 0..24);
}

#[test]
fn sessions_equal_their_batch_answers_when_they_close() {
    all(Kind::SessionsClosed, 0..16);
}

#[test]
fn sessions_equal_their_batch_answers_at_every_moment() {
    all(Kind::SessionsEarly, 0..16);
}

#[test]
fn filters_on_the_time_now_equal_their_batch_answers_as_it_passes() {
    all(Kind::Timed, 0..60);
}

#[test]
fn subqueries_that_refer_to_the_queries_around_them_equal_their_batch_answers() {
    all(Kind::Correlated, 0..30);
}

#[test]
fn a_name_that_hides_one_of_the_query_around_is_not_looked_for_there() {
    all(Kind::Relational, 123..124);
}
