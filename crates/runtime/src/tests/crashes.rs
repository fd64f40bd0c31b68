//! Random dataflows of the engine's own operators, crashed at random moments: what is visible in the end is what a run
//! without crashes shows (invariant I3).

use super::*;
use crate::job::JobState;
use eddyline_connectors::Boundedness::Bounded;
use eddyline_plan::{AggregateCall, WindowAggregateSpec};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::Duration;

/// A dataflow, what its tables hold, and the names of its sinks.
pub(super) struct Case {
    plan: Plan,
    sources: Vec<(String, Arc<Script>)>,
    sinks: Vec<String>,
}

impl Case {
    pub(super) fn random(random: &mut StdRng) -> Self {
        let mut case = Case { plan: Plan::default(), sources: Vec::new(), sinks: Vec::new() };
        let mut rows = case.source(random);
        for _ in 0..random.random_range(0..2) {
            let other = case.source(random);
            let inputs = [rows, other].map(|from| match random.random_bool(0.5) {
                true => Input::forward(from),
                false => Input::hash(from, vec![random.random_range(0..3)]),
            });
            rows = case.plan.union(inputs.into());
        }
        for _ in 0..random.random_range(1..4) {
            let from = match random.random_range(0..5) {
                0 => rows,
                1 => case.groups(rows, random),
                2 => case.distinct(rows, random),
                _ => case.windows(rows, random),
            };
            let name = format!("out{}", case.sinks.len());
            case.plan.sink(&name, Input::forward(from));
            case.sinks.push(name);
        }
        case
    }

    /// A table of files in ranges, each file in the order of event time, so that no row is late however it is read. Some rows
    /// are taken back again.
    fn source(&mut self, random: &mut StdRng) -> NodeId {
        let ranges: Vec<String> = (0..random.random_range(1..4))
            .flat_map(|file| {
                (0..random.random_range(1..4)).map(move |range| format!("f{file}#{range}")).collect::<Vec<_>>()
            })
            .collect();
        let script = Script::new(Bounded, &ranges.iter().map(String::as_str).collect::<Vec<_>>());
        for (split, id) in ranges.iter().enumerate() {
            let mut second = id[id.len() - 1..].parse::<usize>().unwrap() * 20;
            for _ in 0..random.random_range(0..12) {
                second += random.random_range(0..2);
                let row = format!("k{} {second:02} {}", random.random_range(0..5), random.random_range(-9..9));
                let block = match random.random_range(0..5) {
                    0 => format!("+3 {row}\n-2 {row}"),
                    1 => format!("+ {row}\n- {row}"),
                    _ => format!("+ {row}"),
                };
                block.lines().for_each(|line| script.push(split, super::rows(line)));
            }
        }
        script.end_all();
        let name = format!("t{}", self.sources.len());
        let node = self.plan.timed_source(&name, None);
        self.sources.push((name, script));
        node
    }

    fn aggregate(&mut self, keys: Vec<usize>, calls: &[AggregateCall], phase: AggregatePhase, input: Input) -> NodeId {
        let spec = GroupAggregateSpec { keys, calls: calls.to_vec(), phase, append_only: false };
        let schema = spec.output_schema(&self.plan.nodes[input.from].schema);
        self.plan.node(OperatorSpec::GroupAggregate(spec), vec![input], schema, ChangeMode::Retract)
    }

    fn groups(&mut self, rows: NodeId, random: &mut StdRng) -> NodeId {
        let keys = [vec![], vec![0], vec![2, 0]][random.random_range(0..3)].clone();
        let own: Vec<usize> = (0..keys.len()).collect();
        if random.random_bool(0.5) {
            let calls = [call("count", &[], false), call("sum", &[2], false)];
            let local = self.aggregate(keys, &calls, AggregatePhase::Local, Input::forward(rows));
            return self.aggregate(own.clone(), &calls, AggregatePhase::Global, Input::hash(local, own));
        }
        let calls = [call("max", &[2], false), call("count", &[2], true), call("avg", &[2], false)];
        self.aggregate(keys.clone(), &calls, AggregatePhase::Single, Input::hash(rows, keys))
    }

    fn distinct(&mut self, rows: NodeId, random: &mut StdRng) -> NodeId {
        let keys = [vec![], vec![0]][random.random_range(0..2)].clone();
        let own: Vec<usize> = (0..keys.len()).collect();
        let calls = [call("count", &[], false), call("count", &[2], true), call("sum", &[2], true)];
        let local = self.aggregate(keys, &calls, AggregatePhase::Local, Input::forward(rows));
        let partial = self.plan.nodes[local].schema.clone();
        let spec = GroupAggregateSpec {
            keys: own.clone(),
            calls: calls.to_vec(),
            phase: AggregatePhase::Distinct,
            append_only: false,
        };
        let by = spec.distinct_distribution(&partial);
        let sets = self.aggregate(own.clone(), &calls, AggregatePhase::Distinct, Input::hash(local, by));
        self.aggregate(own.clone(), &calls, AggregatePhase::Global, Input::hash(sets, own))
    }

    fn windows(&mut self, rows: NodeId, random: &mut StdRng) -> NodeId {
        let window = match random.random_range(0..3) {
            0 => Window::Tumble { size_ms: random.random_range(2..9) * 1000, offset_ms: 500 },
            1 => Window::Hop { size_ms: 6000, slide_ms: 4000, offset_ms: -1500 },
            _ => Window::Hop { size_ms: 9000, slide_ms: 3000, offset_ms: 0 },
        };
        if random.random_bool(0.5) {
            let calls = [call("count", &[], false), call("sum", &[2], false)];
            let local = self.window_aggregate(window, &calls, AggregatePhase::Local, Input::forward(rows));
            return self.window_aggregate(window, &calls, AggregatePhase::Global, Input::hash(local, vec![0]));
        }
        let calls = [call("count", &[2], true), call("min", &[2], false)];
        self.window_aggregate(window, &calls, AggregatePhase::Single, Input::hash(rows, vec![0]))
    }

    fn window_aggregate(
        &mut self,
        window: Window,
        calls: &[AggregateCall],
        phase: AggregatePhase,
        input: Input,
    ) -> NodeId {
        let (time_type, calls) = (schema().field(1).data_type().clone(), calls.to_vec());
        let spec = WindowAggregateSpec { window, time: 1, time_type, keys: vec![0], calls, phase, append_only: false };
        let schema = spec.output_schema(&self.plan.nodes[input.from].schema);
        self.plan.node(OperatorSpec::WindowAggregate(spec), vec![input], schema, ChangeMode::Retract)
    }

    /// What its sinks will hold.
    pub(super) fn outs(&self) -> Vec<Arc<Collection>> {
        self.sinks.iter().map(|_| Collection::new().durable()).collect()
    }

    pub(super) fn parts(&self, outs: &[Arc<Collection>]) -> (Dataflow, Registry) {
        let tables = self.sources.iter().fold(Tables::default(), |tables, (name, script)| tables.source(name, script));
        let tables = self.sinks.iter().zip(outs).fold(tables, |tables, (name, out)| tables.sink(name, out));
        (self.plan.dataflow(), tables.registry())
    }

    /// What every sink holds in the end when nothing is in its way.
    pub(super) fn undisturbed(&self, seed: u64) -> Vec<String> {
        self.run(settings(1), seed, None)
    }

    /// Runs it under `settings`, stirred by `disturb`; returns what every sink holds in the end.
    fn run(&self, settings: JobSettings, seed: u64, disturb: Option<&mut Disturbance>) -> Vec<String> {
        let outs = self.outs();
        let (dataflow, registry) = self.parts(&outs);
        let mut job = Simulation::new(dataflow, &registry, settings, seed, ManualClock::shared()).unwrap();
        match disturb {
            None => assert!(job.run_to_end().unwrap(), "seed {seed}"),
            Some(disturb) => disturb.run(job.with_random_cuts(disturb.cuts), seed),
        }
        outs.iter().map(|out| out.accumulated()).collect()
    }
}

fn call(function: &str, args: &[usize], distinct: bool) -> AggregateCall {
    AggregateCall {
        function: function.into(),
        args: args.to_vec(),
        arg_types: args.iter().map(|a| schema().field(*a).data_type().clone()).collect(),
        distinct,
        filter: None,
        return_type: DataType::Int64,
        name: format!("{function}{}", if distinct { "_distinct" } else { "" }),
        list: Default::default(),
    }
}

/// Checkpoints and crashes at random.
struct Disturbance {
    random: StdRng,
    cuts: f64,
    checkpoints: f64,
    crashes: f64,
    crashed: usize,
    resumed: usize,
}

impl Disturbance {
    fn new(mut random: StdRng) -> Self {
        let (cuts, checkpoints) = (random.random_range(0.0..0.1), random.random_range(0.005..0.05));
        let crashes = random.random_range(0.002..0.02);
        Self { random, cuts, checkpoints, crashes, crashed: 0, resumed: 0 }
    }

    fn run(&mut self, mut job: Simulation, seed: u64) {
        for _ in 0..200_000 {
            if job.state() == JobState::Finished {
                return;
            }
            if self.random.random_bool(self.checkpoints) {
                job.checkpoint();
            }
            if self.crashed < 8 && self.random.random_bool(self.crashes) {
                self.crashed += 1;
                self.resumed += usize::from(job.completed_checkpoint().0 > 0);
                job.crash().unwrap();
            }
            if !job.step().unwrap() {
                job.advance(Duration::from_millis(100));
            }
        }
        panic!("seed {seed}: the job does not end");
    }
}

pub(super) fn settings_of(random: &mut StdRng) -> JobSettings {
    JobSettings {
        batch_rows: random.random_range(1..6),
        channel_batches: random.random_range(1..4),
        epoch_rows: random.random_range(1..40),
        ..settings(random.random_range(1..5))
    }
}

/// Seeds of a random run: so many, unless `cargo xtask simulate` says otherwise.
pub(super) fn seeds(count: u64) -> std::ops::Range<u64> {
    let wish = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let from = wish("EDDYLINE_SEED_FROM").unwrap_or(0);
    from..from + wish("EDDYLINE_SEEDS").unwrap_or(count)
}

#[test]
fn at_whatever_epoch_it_crashes_the_output_is_that_of_a_run_without() {
    let mut crashed = 0;
    // Each is run once per epoch.
    for seed in seeds(150).step_by(50) {
        let mut random = StdRng::seed_from_u64(seed);
        let case = Case::random(&mut random);
        let undisturbed = case.undisturbed(seed);
        let settings = JobSettings { epoch_rows: random.random_range(3..12), ..settings_of(&mut random) };
        for epoch in 1.. {
            let outs = case.outs();
            let (dataflow, registry) = case.parts(&outs);
            let clock = ManualClock::shared();
            let mut job = Simulation::new(dataflow, &registry, settings.clone(), seed, clock).unwrap();
            // Every other epoch is a checkpoint; some are still under way when it crashes.
            let (mut asked, mut has_crashed) = (0, false);
            while job.state() != JobState::Finished {
                if asked < job.completed_epochs().0 {
                    asked = job.completed_epochs().0 + 1;
                    job.checkpoint();
                }
                if !has_crashed && job.completed_epochs().0 >= epoch {
                    job.crash().unwrap();
                    (has_crashed, asked) = (true, 0);
                }
                if !job.step().unwrap() {
                    job.advance(Duration::from_millis(100));
                }
            }
            let disturbed: Vec<String> = outs.iter().map(|out| out.accumulated()).collect();
            assert_eq!(disturbed, undisturbed, "seed {seed}, crashed after epoch {epoch}");
            if !has_crashed {
                break;
            }
            crashed += 1;
        }
    }
    assert!(crashed > 3, "{crashed}");
}

#[test]
fn whatever_crashes_the_output_is_that_of_a_run_without() {
    let (mut crashed, mut resumed, mut not_empty) = (0, 0, 0);
    let seeds = seeds(150);
    let count = seeds.end - seeds.start;
    for seed in seeds {
        let mut random = StdRng::seed_from_u64(seed);
        let case = Case::random(&mut random);
        let undisturbed = case.undisturbed(seed);
        let settings = settings_of(&mut random);
        let mut disturbance = Disturbance::new(random);
        let disturbed = case.run(settings, seed, Some(&mut disturbance));
        assert_eq!(disturbed, undisturbed, "seed {seed}, {} crashes", disturbance.crashed);
        (crashed, resumed) = (crashed + disturbance.crashed, resumed + disturbance.resumed);
        not_empty += usize::from(undisturbed.iter().any(|out| !out.is_empty()));
    }
    let enough = count as usize / 2;
    assert!(crashed > enough && resumed > enough / 2 && not_empty > enough, "{crashed} {resumed} {not_empty}");
}
