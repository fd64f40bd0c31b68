use crate::testing::{Bench, failure, lines, request, schema, source};
use crate::{Boundedness, Position, SourceRequest};
use arrow::array::{Array, RecordBatch, StructArray};
use arrow::datatypes::DataType::{self, Int32, Int64, Struct, Utf8};
use arrow::datatypes::{Field, SchemaRef, TimeUnit};
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const TIME: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

fn bid() -> SchemaRef {
    let (long, text) = (Int64, Utf8);
    schema(&[
        ("auction", long.clone()),
        ("bidder", long.clone()),
        ("price", long),
        ("channel", text.clone()),
        ("url", text.clone()),
        ("date_time", TIME),
        ("extra", text),
    ])
}

fn person() -> SchemaRef {
    let names = ["name", "email_address", "credit_card", "city", "state"];
    let mut fields = vec![("id", Int64)];
    fields.extend(names.map(|n| (n, Utf8)));
    fields.extend([("date_time", TIME), ("extra", Utf8)]);
    schema(&fields)
}

fn auction() -> SchemaRef {
    let long = || Int64;
    schema(&[
        ("id", long()),
        ("item_name", Utf8),
        ("description", Utf8),
        ("initial_bid", long()),
        ("reserve", long()),
        ("date_time", TIME),
        ("expires", TIME),
        ("seller", long()),
        ("category", long()),
        ("extra", Utf8),
    ])
}

fn generated(table: &str, schema: &SchemaRef, split: usize) -> RecordBatch {
    let options = [("connector", "nexmark"), ("nexmark.table", table), ("events.num", "5000")];
    let source = source(&options, request(schema)).expect("source");
    let split = &source.splits(2).expect("splits")[split];
    let batches = Bench::new().read_split(&*source, split, Position(0), 97).expect("rows");
    let rows: Vec<_> = batches.iter().map(|d| d.changes.rows()).collect();
    arrow::compute::concat_batches(schema, rows).expect("one schema")
}

#[test]
fn events_are_those_of_the_reference_generator() {
    // Check sums (CRC-32) over the first 5000 events, as CSV, of a generator in another language.
    let expected = [
        ("person", person(), include_str!("fixtures/person.csv"), [0xad87_c703, 0x0775_ce7c]),
        ("auction", auction(), include_str!("fixtures/auction.csv"), [0xab94_9ed8, 0xaeb8_1399]),
        ("bid", bid(), include_str!("fixtures/bid.csv"), [0x5dc1_1b86, 0xe58e_62ff]),
    ];
    for (table, schema, first_rows, sums) in expected {
        for (split, sum) in sums.into_iter().enumerate() {
            let text = lines(&generated(table, &schema, split));
            if split == 0 {
                assert_eq!(&text[..first_rows.len()], first_rows);
            }
            let mut crc = flate2::Crc::new();
            crc.update(text.as_bytes());
            assert_eq!(crc.sum(), sum, "{table} of split {split}");
        }
    }
}

fn row(schema: &SchemaRef, rename: &[&str]) -> DataType {
    let fields = schema.fields().iter().zip(rename).map(|(f, n)| Field::new(*n, f.data_type().clone(), true));
    Struct(fields.collect())
}

#[test]
fn the_table_of_the_flink_connector_holds_the_same_events() {
    let bids = ["auction", "bidder", "price", "channel", "url", "dateTime", "extra"];
    let all = schema(&[("event_type", Int32), ("bid", row(&bid(), &bids))]);
    let options = [("connector", "nexmark"), ("events.num", "5000")];
    let source = source(&options, request(&all)).expect("source");
    let rows = Bench::new().read(&*source, 1).expect("rows");
    assert_eq!(rows.num_rows(), 5000);
    let types: Vec<_> = rows.column(0).to_data().buffers()[0].typed_data::<i32>()[..52].to_vec();
    assert_eq!((types[0], &types[1..4], types[4], types[49], types[50]), (0, &[1, 1, 1][..], 2, 2, 0));
    let column = rows.column(1).as_any().downcast_ref::<StructArray>().expect("a row");
    assert_eq!((column.is_null(3), column.null_count()), (true, 400));
    let fields = RecordBatch::from(
        &StructArray::from((
            column.fields().iter().cloned().zip(column.columns().iter().cloned()).collect::<Vec<_>>(),
            arrow::buffer::Buffer::from(vec![255u8; 625]),
        ))
        .slice(4, 46),
    );
    assert!(lines(&fields).starts_with(include_str!("fixtures/bid.csv")));
}

#[test]
fn splits_share_the_events_and_a_restart_goes_on_where_it_was() {
    let request = SourceRequest { projection: vec![5], ..request(&bid()) };
    let options = [("connector", "nexmark"), ("nexmark.table", "bid"), ("events.num", "1234")];
    let source = source(&options, request).expect("source");
    assert_eq!(source.boundedness(), Boundedness::Bounded);
    let bench = Bench::new();
    for shards in [1, 2, 3, 7] {
        let mut seen = Vec::new();
        for split in source.splits(shards).expect("splits") {
            let all = bench.read_split(&*source, &split, Position(0), 10).expect("rows");
            let half = all[all.len() / 2].position;
            let rest = bench.read_split(&*source, &split, half, 1000).expect("rows");
            let text = |d: &[crate::Decoded]| d.iter().map(|d| lines(d.changes.rows())).collect::<String>();
            assert_eq!(text(&all[all.len() / 2 + 1..]), text(&rest));
            seen.extend(text(&all).lines().map(str::to_owned).collect::<Vec<_>>());
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 24 * 46 + 30, "{shards} shards");
    }
}

#[test]
fn a_rate_is_kept_by_the_clock_of_the_job() {
    let options = [("connector", "nexmark"), ("nexmark.table", "bid"), ("next-event.rate", "1000")];
    let source = source(&options, request(&bid())).expect("source");
    assert_eq!(source.boundedness(), Boundedness::Unbounded);
    let bench = Bench::new();
    let split = &source.splits(1).expect("splits")[0];
    let mut reader = source.open(split, Position(0), &bench.rim).expect("reader");
    let mut next = || {
        let mut cx = Context::from_waker(Waker::noop());
        match reader.poll_block(&mut cx) {
            Poll::Ready(Ok(Some(block))) => Some(block.end.0),
            Poll::Pending => None,
            _ => panic!("no end, no error"),
        }
    };
    assert_eq!((next(), next()), (Some(1), None));
    bench.clock.advance(Duration::from_millis(100));
    assert_eq!((next(), next()), (Some(101), None));
    assert!(bench.clock.next_wake().expect("a wake-up") > Duration::from_millis(100));
    let block = bench
        .runtime
        .spawn(async move { poll_fn(|cx| reader.poll_block(cx)).await.expect("a block").expect("a block").end });
    while !block.is_finished() {
        bench.clock.advance(Duration::from_millis(1));
        std::thread::yield_now();
    }
    assert!(bench.runtime.block_on(block).expect("no panic").0 > 101);
}

#[test]
fn what_does_not_fit_is_told() {
    let nexmark = |pairs: &[(&str, &str)], schema: &SchemaRef| {
        let mut all = vec![("connector", "nexmark")];
        all.extend(pairs);
        failure(source(&all, request(schema)))
    };
    let text = nexmark(&[("nexmark.table", "bids")], &bid());
    assert!(text.contains("'nexmark.table' = 'bids' is none of 'person', 'auction', 'bid'"), "{text}");
    let text = nexmark(&[("rate.shape", "SINE")], &schema(&[("event_type", Int32)]));
    assert!(text.contains("unknown option 'rate.shape'") && text.contains("next-event.rate"), "{text}");
    let text = nexmark(&[("nexmark.table", "bid")], &schema(&[("cost", Int64)]));
    assert!(text.contains("no column 'cost'") && text.contains("price BIGINT"), "{text}");
    let text = nexmark(&[("nexmark.table", "bid")], &schema(&[("price", Int32)]));
    assert!(text.contains("column 'price' is BIGINT"), "{text}");
    let text = nexmark(&[], &bid());
    assert!(text.contains("column 'auction' is ROW<"), "{text}");
    let text = nexmark(&[("bid.proportion", "-1")], &schema(&[("event_type", Int32)]));
    assert!(text.contains("is not between 0 and"), "{text}");
}
