//! The text of a plan, as EXPLAIN and snapshots show it: sinks first, inputs indented below, exchanges marked.

use crate::{
    AggregateCall, AggregatePhase, Dataflow, Distribution, Frame, FrameBound, FrameOffset, FrameUnits, Input, NodeId,
    OperatorSpec, OrderColumn, OverCall, OverFunction, TimeBound, Window,
};
use arrow::datatypes::Schema;
use std::collections::HashSet;
use std::fmt::{self, Write};

impl fmt::Display for Dataflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read: HashSet<NodeId> = self.nodes().iter().flat_map(|n| n.inputs.iter().map(|i| i.from)).collect();
        let mut shown = HashSet::new();
        for node in self.nodes().iter().filter(|n| !read.contains(&n.id)) {
            write_node(self, f, node.id, 0, None, &mut shown)?;
        }
        Ok(())
    }
}

fn write_node(
    plan: &Dataflow,
    f: &mut fmt::Formatter<'_>,
    id: NodeId,
    depth: usize,
    input: Option<(&Input, &Schema)>,
    shown: &mut HashSet<NodeId>,
) -> fmt::Result {
    let node = &plan.nodes()[id];
    write!(f, "{:indent$}", "", indent = depth * 2)?;
    if let Some((Input { distribution: Distribution::Hash(columns), .. }, schema)) = input {
        write!(f, "[exchange by ({})] ", names(schema, columns))?;
    }
    if !shown.insert(id) {
        return writeln!(f, "{} #{id} (shared, see above)", node.spec.name());
    }
    let below: Vec<&Schema> = node.inputs.iter().map(|i| plan.nodes()[i.from].schema.as_ref()).collect();
    let ttl = ttl(&node.inputs);
    writeln!(f, "{} #{id} {}{ttl}", node.spec.name(), describe(&node.spec, &below))?;
    for input in &node.inputs {
        write_node(plan, f, input.from, depth + 1, Some((input, &plan.nodes()[input.from].schema)), shown)?;
    }
    Ok(())
}

/// The times to live of inputs, if there are any.
fn ttl(inputs: &[Input]) -> String {
    let of = |input: &Input| input.ttl.map_or_else(|| "none".to_owned(), |ttl| ttl.to_string());
    match inputs.iter().any(|input| input.ttl.is_some()) {
        true => format!(" ttl {}", inputs.iter().map(of).collect::<Vec<_>>().join(" and ")),
        false => String::new(),
    }
}

fn names(schema: &Schema, columns: &[usize]) -> String {
    columns.iter().map(|c| schema.field(*c).name().as_str()).collect::<Vec<_>>().join(", ")
}

/// What an operator does, in one line.
pub(crate) fn describe(spec: &OperatorSpec, inputs: &[&Schema]) -> String {
    let mut out = String::new();
    let empty = Schema::empty();
    let input = inputs.first().copied().unwrap_or(&empty);
    match spec {
        OperatorSpec::Source(s) => {
            let columns: Vec<&str> = s.project.iter().map(|e| e.name.as_str()).collect();
            let _ = write!(out, "{} [{}]", s.table, columns.join(", "));
            if let Some(p) = &s.predicate {
                let _ = write!(out, " where {p}");
            }
            if let Some(w) = &s.watermark {
                let _ = write!(out, " watermark {}", w.expression);
            }
        }
        OperatorSpec::Values(v) => {
            let _ = write!(out, "{} rows", v.rows.num_rows());
        }
        OperatorSpec::Calc(c) => {
            let columns: Vec<String> = c.project.iter().map(|e| format!("{} AS {}", e.expression, e.name)).collect();
            let _ = write!(out, "[{}]", columns.join(", "));
            if let Some(p) = &c.predicate {
                let _ = write!(out, " where {p}");
            }
        }
        OperatorSpec::Union => {}
        OperatorSpec::GroupAggregate(a) => {
            let _ = write!(out, "{} by ({})", phase(a.phase), names(input, &a.keys));
            calls(&mut out, &a.calls);
        }
        OperatorSpec::WindowAssign(w) => {
            let _ = write!(out, "{} on {}", window(&w.window), input.field(w.time).name());
        }
        OperatorSpec::WindowAggregate(a) => {
            let _ = write!(out, "{} {} by ({})", phase(a.phase), window(&a.window), names(input, &a.keys));
            calls(&mut out, &a.calls);
        }
        OperatorSpec::SessionAssign(w) => {
            let closes = if w.closes { " when it closes" } else { "" };
            let (time, by) = (input.field(w.time).name(), names(input, &w.partition));
            let _ = write!(out, "session(gap={}ms) on {time} by ({by}){closes}", w.gap_ms);
        }
        OperatorSpec::SessionAggregate(a) => {
            let closes = if a.closes { " when it closes" } else { "" };
            let _ = write!(out, "session(gap={}ms) by ({}){closes}", a.gap_ms, names(input, &a.keys));
            calls(&mut out, &a.calls);
        }
        OperatorSpec::Join(j) => {
            let right = inputs.get(1).copied().unwrap_or(&empty);
            let pair = |(l, r): &(usize, usize)| format!("{} = {}", input.field(*l).name(), right.field(*r).name());
            let on: Vec<String> = j.on.iter().map(pair).collect();
            let _ = write!(out, "{} on ({})", j.kind.name(), on.join(", "));
            if let Some(r) = &j.residual {
                let _ = write!(out, " if {r}");
            }
            if let Some(range) = &j.range {
                let _ = write!(out, " by range of {} and {}", range.left, range.right);
                for (side, until) in ["left", "right"].iter().zip(&range.until) {
                    let _ = until.iter().try_for_each(|until| write!(out, ", {side} rows until {}", until.value));
                }
            }
            if let Some(time) = j.time {
                let _ = write!(out, " until {}", input.field(j.on[time.key].0).name());
            }
        }
        OperatorSpec::TopN(t) => {
            let local = if t.local { "local " } else { "" };
            let last = t.last.map(|l| l.to_string()).unwrap_or_default();
            let _ = write!(out, "{local}{} {}..{last}", t.ranking.name(), t.first);
            let _ = write!(out, " by ({}) order ({})", names(input, &t.partition), order(input, &t.order));
            if let Some(time) = t.closes {
                let _ = write!(out, " when {} closes", input.field(t.partition[time.key]).name());
            }
        }
        OperatorSpec::Unnest(u) => {
            let outer = if u.outer { "outer " } else { "" };
            let number = if u.ordinality { " with ordinality" } else { "" };
            let _ = write!(out, "{outer}({}){number}", names(input, &u.lists));
        }
        OperatorSpec::SetOperation(s) => out.push_str(s.operation.name()),
        OperatorSpec::Over(o) => {
            let _ = write!(out, "by ({}) order ({})", names(input, &o.partition), order(input, &o.order));
            let calls: Vec<String> = o.calls.iter().map(|c| over_call(input, c)).collect();
            let _ = write!(out, " [{}]", calls.join(", "));
        }
        OperatorSpec::TemporalFilter(t) => {
            let bounds: Vec<String> = t.bounds.iter().map(|b| time_bound(t.now(), b, input)).collect();
            let _ = write!(out, "[{}] while {}", names(input, &t.output), bounds.join(" and "));
        }
        OperatorSpec::ChangelogNormalize(n) => {
            let _ = write!(out, "by ({})", names(input, &n.key));
        }
        OperatorSpec::SinkMaterialize(m) => {
            let _ = write!(out, "for {} by ({}) on conflict do {}", m.table, names(input, &m.key), m.conflict);
        }
        OperatorSpec::Sink(s) => {
            let _ = write!(out, "{}", s.table);
            if let Some(key) = &s.key {
                let _ = write!(out, " key ({})", names(&s.schema, key));
            }
        }
    }
    out
}

/// `now < ts + 3600000ms`, `now - 1 months < ts`.
fn time_bound(now: &str, bound: &TimeBound, input: &Schema) -> String {
    let shift = match bound.shift_ms {
        0 => String::new(),
        ms if ms < 0 => format!(" + {}ms", ms.unsigned_abs()),
        ms => format!(" - {ms}ms"),
    };
    let months = match bound.months {
        Some(m) if m.count < 0 => format!(" - {} months", m.count.unsigned_abs()),
        Some(m) => format!(" + {} months", m.count),
        None => String::new(),
    };
    format!("{now}{months} {} {}{shift}", bound.test.sign(), input.field(bound.column).name())
}

/// Direction and NULLs where they are not the usual ones of the dialect (NULLs are smallest).
fn order(input: &Schema, order: &[OrderColumn]) -> String {
    let text = |o: &OrderColumn| {
        let direction = if o.descending { " desc" } else { "" };
        let nulls = match (o.nulls_first, o.descending) {
            (true, true) => " nulls first",
            (false, false) => " nulls last",
            _ => "",
        };
        format!("{}{direction}{nulls}", input.field(o.column).name())
    };
    order.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn over_call(input: &Schema, call: &OverCall) -> String {
    let function = &call.function;
    let mut args: Vec<String> = function.columns().iter().map(|c| input.field(*c).name().clone()).collect();
    match function {
        OverFunction::Ntile(buckets) => args.push(buckets.to_string()),
        OverFunction::Shift { offset, .. } => args.insert(1, offset.unsigned_abs().to_string()),
        OverFunction::Nth { n: n @ 2.., .. } => args.push(n.to_string()),
        OverFunction::Aggregate { call, .. } => {
            args.truncate(call.columns().count());
            if args.is_empty() {
                args.push("*".into());
            }
            if call.distinct {
                args[0].insert_str(0, "distinct ");
            }
        }
        _ => {}
    }
    let filter = match function {
        OverFunction::Collect { filter: Some(filter), .. } => {
            args.truncate(1);
            Some(*filter)
        }
        OverFunction::Aggregate { call, .. } => call.filter,
        _ => None,
    };
    let mut out = format!("{}({})", function.name(), args.join(", "));
    if let OverFunction::Shift { ignore_nulls: true, .. } | OverFunction::Nth { ignore_nulls: true, .. } = function {
        out += " ignore nulls";
    }
    if let Some(filter) = filter {
        let _ = write!(out, " filter {}", input.field(filter).name());
    }
    if let Some(frame) = function.frame() {
        let _ = write!(out, " {frame}");
    }
    out
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = match self.units {
            FrameUnits::Rows => "rows",
            FrameUnits::Range => "range",
            FrameUnits::Groups => "groups",
        };
        let bound = |bound: &FrameBound| match bound {
            FrameBound::UnboundedPreceding => "unbounded preceding".to_owned(),
            FrameBound::Preceding(offset) => format!("{} preceding", frame_offset(*offset)),
            FrameBound::CurrentRow => "current row".into(),
            FrameBound::Following(offset) => format!("{} following", frame_offset(*offset)),
            FrameBound::UnboundedFollowing => "unbounded following".into(),
        };
        write!(f, "{units} {}..{}", bound(&self.start), bound(&self.end))
    }
}

fn frame_offset(offset: FrameOffset) -> String {
    match offset {
        FrameOffset::Count(n) => n.to_string(),
        FrameOffset::Exact(n) => n.to_string(),
        FrameOffset::Float(bits) => f64::from_bits(bits).to_string(),
        FrameOffset::Interval { months: 0, nanos } => format!("{}ms", nanos / 1_000_000),
        FrameOffset::Interval { months, nanos: 0 } => format!("{months} months"),
        FrameOffset::Interval { months, nanos } => format!("{months} months {}ms", nanos / 1_000_000),
    }
}

fn phase(phase: AggregatePhase) -> &'static str {
    match phase {
        AggregatePhase::Single => "single",
        AggregatePhase::Local => "local",
        AggregatePhase::Distinct => "distinct",
        AggregatePhase::Global => "global",
    }
}

fn window(window: &Window) -> String {
    match window {
        Window::Tumble { size_ms, offset_ms } => format!("tumble(size={size_ms}ms, offset={offset_ms}ms)"),
        Window::Hop { size_ms, slide_ms, offset_ms } => {
            format!("hop(slide={slide_ms}ms, size={size_ms}ms, offset={offset_ms}ms)")
        }
    }
}

fn calls(out: &mut String, calls: &[AggregateCall]) {
    let texts: Vec<String> = calls
        .iter()
        .map(|c| {
            let args = if c.args.is_empty() { "*".to_owned() } else { join(&c.args) };
            let distinct = if c.distinct { "distinct " } else { "" };
            let filter = c.filter.map(|f| format!(" filter #{f}")).unwrap_or_default();
            format!("{}({distinct}{args}){filter} AS {}", c.function, c.name)
        })
        .collect();
    if !texts.is_empty() {
        let _ = write!(out, " [{}]", texts.join(", "));
    }
}

fn join(columns: &[usize]) -> String {
    columns.iter().map(|c| format!("#{c}")).collect::<Vec<_>>().join(", ")
}
