use crate::fixtures::{explained, on_shards};
use crate::statement::ExplainStage;
use insta::assert_snapshot;

fn changes(sql: &str) -> String {
    explained(sql, &on_shards(2), ExplainStage::Changelog)
}

fn plan(sql: &str) -> String {
    explained(sql, &on_shards(2), ExplainStage::Dataflow)
}

#[test]
fn a_join_puts_out_only_what_is_read() {
    assert_snapshot!(plan("SELECT a.price + b.price FROM bid AS a JOIN bid AS b ON a.auction = b.bidder AND a.price < b.price"), @r"
    Sink #5 result
      Calc #4 [price@0 + price@1 AS EXPR$0]
        Join #3 inner on (auction = bidder) if price@1 < price@3 by range of price@1 and price@1
          [exchange by (auction)] Calc #1 [auction@0 AS auction, price@2 AS price]
            Source #0 bid [auction, bidder, price]
          [exchange by (bidder)] Calc #2 [bidder@1 AS bidder, price@2 AS price]
            Source #0 (shared, see above)
    ");
}

#[test]
fn keys_that_are_expressions_are_computed_below() {
    assert_snapshot!(plan("SELECT a.price FROM bid AS a LEFT JOIN bid AS b ON a.auction + 1 = b.bidder"), @r"
    Sink #4 result
      Join #3 left on (key2 = bidder)
        [exchange by (key2)] Calc #1 [auction@0 AS auction, price@2 AS price, auction@0 + 1 AS key2]
          Source #0 bid [auction, bidder, price]
        [exchange by (bidder)] Calc #2 [bidder@1 AS bidder]
          Source #0 (shared, see above)
    ");
}

#[test]
fn a_window_join_forgets_closed_windows_and_takes_nothing_back() {
    assert_snapshot!(changes(
        "SELECT a.auction, a.n, b.m FROM
           (SELECT auction, COUNT(*) AS n, TUMBLE_END(date_time, INTERVAL '10' SECOND) AS e FROM bid
            GROUP BY auction, TUMBLE(date_time, INTERVAL '10' SECOND)) AS a
         LEFT JOIN
           (SELECT bidder, COUNT(*) AS m, TUMBLE_END(date_time, INTERVAL '10' SECOND) AS e FROM bid
            GROUP BY bidder, TUMBLE(date_time, INTERVAL '10' SECOND)) AS b
         ON a.e = b.e AND a.auction = b.bidder"
    ), @r"
    #10 Sink: append-only: what matches nothing is handed out when its window closes
    #9 Join: append-only: what matches nothing is handed out when its window closes
    #8 Calc: append-only, key (bidder, e): a window's result is handed out once, when the window closes
    #7 WindowAggregate: append-only, key (bidder, window_end), event time (window_time): a window's result is handed out once, when the window closes
    #6 WindowAggregate: append-only: partial results are added up
    #5 Calc: append-only, event time (date_time): rows of bid are only inserted
    #4 Calc: append-only, key (auction, e): a window's result is handed out once, when the window closes
    #3 WindowAggregate: append-only, key (auction, window_end), event time (window_time): a window's result is handed out once, when the window closes
    #2 WindowAggregate: append-only: partial results are added up
    #1 Calc: append-only, event time (date_time): rows of bid are only inserted
    #0 Source: append-only, event time (date_time): rows of bid are only inserted
    ");
}

#[test]
fn an_outer_join_takes_back_what_had_no_match() {
    assert_snapshot!(changes("SELECT a.price, b.v FROM bid AS a LEFT JOIN plain AS b ON a.auction = b.v"), @r"
    #4 Sink: retract: a row without a match in the left join is replaced when one comes
    #3 Join: retract: a row without a match in the left join is replaced when one comes
    #2 Calc: append-only: rows of plain are only inserted
    #1 Source: append-only: rows of plain are only inserted
    #0 Source: append-only: rows of bid are only inserted
    ");
}

#[test]
fn membership_is_a_semi_join_and_not_in_minds_nulls() {
    assert_snapshot!(plan("SELECT price FROM bid WHERE auction IN (SELECT v FROM plain)"), @r"
    Sink #4 result
      Join #3 semi on (auction = plain.v)
        [exchange by (auction)] Source #0 bid [auction, price]
        [exchange by (plain.v)] Calc #2 [CAST(v@0 AS Int64) AS plain.v]
          Source #1 plain [v]
    ");
    assert_snapshot!(plan("SELECT price FROM bid WHERE auction NOT IN (SELECT v FROM plain)"), @r"
    Sink #4 result
      Join #3 anti on () if auction@0 = plain.v@2 OR auction@0 IS NULL OR plain.v@2 IS NULL
        [exchange by ()] Source #0 bid [auction, price]
        [exchange by ()] Calc #2 [CAST(v@0 AS Int64) AS plain.v]
          Source #1 plain [v]
    ");
}

#[test]
fn comparisons_of_both_sides_find_pairs_by_range() {
    // The left's value may stand on the right, and may be a cast or a time give or take a constant.
    for (condition, range) in [
        ("b.price >= a.price", " by range of price@1 and price@0"),
        ("a.auction = b.auction AND b.price * 2 > 5 AND a.price > b.price", " by range of price@"),
        ("CAST(a.price AS DECIMAL(20, 2)) < CAST(b.price AS DECIMAL(20, 2))", " by range of CAST(price@"),
        ("a.date_time > b.date_time - INTERVAL '1' HOUR", " by range of date_time@"),
    ] {
        let plan = plan(&format!("SELECT a.bidder FROM bid AS a JOIN bid AS b ON {condition}"));
        assert!(plan.contains(range), "{plan}");
    }
    // What could fail is not computed before rows meet; what is no order of the two sides finds nothing.
    for condition in ["a.price / a.auction > b.price", "a.price > b.price + a.auction", "a.price <> b.price"] {
        let plan = plan(&format!("SELECT a.bidder FROM bid AS a JOIN bid AS b ON {condition}"));
        assert!(!plan.contains("by range"), "{plan}");
    }
}

#[test]
fn between_ends_a_range() {
    for (condition, range) in [
        // A value between two of the other side's; the pair is found wherever it stands among the conditions.
        ("b.auction BETWEEN a.price AND a.bidder", "and auction@0, left rows until bidder@"),
        (
            "a.price <> b.price AND a.price > b.price AND a.auction <= b.auction AND a.price < b.auction",
            "right rows until auction@",
        ),
        // Times give or take a constant of days or less have an end for the rows of both sides.
        (
            "a.date_time BETWEEN b.date_time - INTERVAL '10' MINUTE AND b.date_time + INTERVAL '1' HOUR",
            "right rows until date_time@",
        ),
        (
            "a.date_time BETWEEN b.date_time - INTERVAL '10' MINUTE AND b.date_time + INTERVAL '1' HOUR",
            "left rows until date_time@",
        ),
        ("a.channel >= b.channel AND a.channel <= b.url", "right rows until url@"),
    ] {
        let plan = plan(&format!("SELECT a.bidder FROM bid AS a JOIN bid AS b ON {condition}"));
        assert!(plan.contains(range), "{condition}: {plan}");
    }
    for condition in [
        "a.price > b.price AND a.price > b.auction",
        "a.price > b.price AND a.auction < b.auction",
        "a.date_time > b.date_time - INTERVAL '1' MONTH AND a.date_time < b.date_time",
    ] {
        let plan = plan(&format!("SELECT a.bidder FROM bid AS a JOIN bid AS b ON {condition}"));
        assert!(plan.contains("by range") && !plan.contains("left rows until"), "{condition}: {plan}");
    }
}

fn joins(sql: &str) -> usize {
    plan(sql).lines().filter(|line| line.contains(" Join #") && !line.contains("(shared")).count()
}

#[test]
fn a_narrower_join_of_the_same_tables_is_the_wider_one() {
    let both = |second: &str| {
        joins(&format!(
            "SELECT a.auction, a.price, b.price FROM bid AS a JOIN bid AS b ON a.auction = b.bidder UNION ALL {second}"
        ))
    };
    assert_eq!(both("SELECT a.auction, 0, 0 FROM bid AS a JOIN bid AS b ON a.auction = b.bidder"), 1);
    assert_eq!(both("SELECT b.price, 0, 0 FROM bid AS a JOIN bid AS b ON a.auction = b.bidder"), 1);
    // Another kind, another key, another condition, a column that the first does not put out.
    assert_eq!(both("SELECT a.auction, 0, 0 FROM bid AS a LEFT JOIN bid AS b ON a.auction = b.bidder"), 2);
    assert_eq!(both("SELECT a.auction, 0, 0 FROM bid AS a JOIN bid AS b ON a.bidder = b.bidder"), 2);
    assert_eq!(
        both("SELECT a.auction, 0, 0 FROM bid AS a JOIN bid AS b ON a.auction = b.bidder AND a.price < b.price"),
        2
    );
    assert_eq!(both("SELECT a.bidder, 0, 0 FROM bid AS a JOIN bid AS b ON a.auction = b.bidder"), 2);
    assert_eq!(both("SELECT a.auction, 0, 0 FROM bid AS a JOIN bid AS b ON a.auction = b.bidder WHERE a.price > 5"), 2);
}

#[test]
fn joins_above_joins_that_are_one_are_one() {
    let three = "bid AS a JOIN bid AS b ON a.auction = b.bidder JOIN bid AS c ON b.price = c.price";
    let sql =
        format!("SELECT a.auction, c.auction, c.price FROM {three} UNION ALL SELECT c.auction, 0, 0 FROM {three}");
    assert_eq!(joins(&sql), 2);
}
