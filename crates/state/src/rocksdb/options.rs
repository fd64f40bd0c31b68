//! How the databases are set up. What is not said here is RocksDB's default.

use super::entries::{is_empty_pack, merge_part, merge_whole};
use crate::MemoryBudget;
use crate::lead::lead_or_key;
use rocksdb::compaction_filter::Decision;
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, DBCompactionStyle, DBCompressionType, Options, ReadOptions, SliceTransform,
    UniversalCompactOptions, WriteOptions,
};

/// Blocks are what is read from the disk and unpacked at once, mostly for one key.
const BLOCK_BYTES: usize = 4 << 10;
/// What a compaction reads ahead of each of its files: memory that nobody counts.
const READAHEAD_BYTES: usize = 256 << 10;
const FILTER_BITS_PER_KEY: f64 = 10.0;
/// Files are what checkpoints share: smaller ones are shared more.
const FILE_BYTES: u64 = 32 << 20;
/// Runs of files that are there before they are merged. A look-up of what is there may ask the filter of each.
const RUNS_MAX: i32 = 12;
/// Runs that make writers wait until some are merged.
pub(super) const RUNS_WAITING_MAX: u64 = 8 * RUNS_MAX as u64;
/// Write buffers that wait to become files and make writers wait.
pub(super) const BUFFERS_WAITING_MAX: u64 = 2;
/// Newer entries may take twice as much disk as the oldest run, until all are merged.
const AMPLIFICATION_PERCENT: i32 = 200;

pub(super) fn database(budget: &MemoryBudget) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&tables(budget));
    // What is looked for by its lead has filters of leads, the rest of whole keys.
    options.set_prefix_extractor(SliceTransform::create("lead or key", lead_or_key, None));
    options.set_merge_operator("packs", merge_whole, merge_part);
    options.set_compaction_filter("empty packs", |_, key, value| match is_empty_pack(key, value) {
        true => Decision::Remove,
        false => Decision::Keep,
    });
    memory(&mut options, budget);
    compaction(&mut options);
    // Files are opened when they are needed: a shard with gigabytes of state begins at once.
    options.set_max_open_files(512);
    options.set_skip_stats_update_on_db_open(true);
    options.set_max_background_jobs(2);
    // Nobody reads RocksDB's own log and statistics.
    options.set_log_level(rocksdb::LogLevel::Fatal);
    options.set_keep_log_file_num(1);
    options.set_max_log_file_size(1 << 20);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options
}

fn tables(budget: &MemoryBudget) -> BlockBasedOptions {
    let mut tables = BlockBasedOptions::default();
    tables.set_block_cache(&budget.cache);
    tables.set_block_size(BLOCK_BYTES);
    tables.set_format_version(6);
    tables.set_bloom_filter(FILTER_BITS_PER_KEY, false);
    tables.set_whole_key_filtering(false);
    // Filters and indexes live in the cache, in pieces: so the budget holds whatever the state's size.
    tables.set_cache_index_and_filter_blocks(true);
    tables.set_cache_index_and_filter_blocks_with_high_priority(true);
    tables.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    tables.set_partition_filters(true);
    tables.set_metadata_block_size(4 << 10);
    tables.set_pin_top_level_index_and_filter(true);
    tables
}

fn memory(options: &mut Options, budget: &MemoryBudget) {
    options.set_write_buffer_manager(&budget.write_buffers);
    options.set_write_buffer_size(budget.write_buffer_bytes());
    // More than ever wait: see `RocksBackend::wait_for_room`.
    options.set_max_write_buffer_number(4 * BUFFERS_WAITING_MAX as i32);
    options.set_memtable_prefix_bloom_ratio(0.05);
    // One thread writes.
    options.set_allow_concurrent_memtable_write(false);
}

fn compaction(options: &mut Options) {
    let mut universal = UniversalCompactOptions::default();
    universal.set_size_ratio(10);
    universal.set_max_size_amplification_percent(AMPLIFICATION_PERCENT);
    options.set_compaction_style(DBCompactionStyle::Universal);
    options.set_universal_compaction_options(&universal);
    options.set_compaction_readahead_size(READAHEAD_BYTES);
    options.set_level_zero_file_num_compaction_trigger(RUNS_MAX);
    options.set_level_zero_slowdown_writes_trigger(4 * RUNS_MAX);
    // See `RocksBackend::wait_for_room`.
    options.set_level_zero_stop_writes_trigger(i32::MAX);
    options.set_hard_pending_compaction_bytes_limit(0);
    options.set_target_file_size_base(FILE_BYTES);
    options.set_periodic_compaction_seconds(0);
    options.set_ttl(0);
    // Of 1024 entries in a row 768 are removals, or half of all.
    options.add_compact_on_deletion_collector_factory(1024, 768, 0.5);
    options.set_compression_type(DBCompressionType::Lz4);
}

pub(super) fn writing() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.disable_wal(true);
    options
}

/// Reading in the order of all keys, whatever their leads.
pub(super) fn everything() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_total_order_seek(true);
    options
}

/// Reading a range once, from its beginning to its end.
pub(super) fn scanning(from: &[u8], to: &[u8]) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_iterate_range(from.to_vec()..to.to_vec());
    options.fill_cache(false);
    options.set_total_order_seek(true);
    options
}
