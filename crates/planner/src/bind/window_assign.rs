use datafusion_common::{Column, DFSchema, DFSchemaRef, Result, plan_err};
use datafusion_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use eddyline_plan::Window;
use eddyline_plan::window::window_fields;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What rows are put into.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Cut {
    /// Windows whose borders do not depend on rows.
    Fixed(Window),
    /// Sessions: windows that end where no row comes for a while.
    Sessions {
        /// The least pause between two in milliseconds, > 0.
        gap_ms: i64,
        /// Rows that are equal in these columns have sessions of their own.
        partition: Vec<Column>,
    },
}

/// Appends `window_start`, `window_end` and `window_time` to every row, once per window that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowAssign {
    pub(crate) input: Arc<LogicalPlan>,
    /// The time column of the input.
    pub(crate) time: Column,
    pub(crate) cut: Cut,
    schema: DFSchemaRef,
}

impl WindowAssign {
    /// # Errors
    /// The time column is no TIMESTAMP of the input, or the names of the window columns are taken.
    pub(crate) fn try_new(input: Arc<LogicalPlan>, time: Column, cut: Cut) -> Result<Self> {
        let below = input.schema();
        let time_type = below.field(below.index_of_column(&time)?).data_type().clone();
        if !matches!(time_type, arrow::datatypes::DataType::Timestamp(..)) {
            return plan_err!("{} is no TIMESTAMP but {time_type}", time.flat_name());
        }
        let mut fields: Vec<_> = below.iter().map(|(q, f)| (q.cloned(), f.clone())).collect();
        for field in window_fields(&time_type) {
            let mut name = field.name().clone();
            // A query over windows may cut windows again: the inner columns keep their names, as in Flink.
            for n in 0.. {
                if !below.has_column_with_unqualified_name(&name) {
                    break;
                }
                name = format!("{}{n}", field.name());
            }
            fields.push((None, Arc::new(field.as_ref().clone().with_name(name))));
        }
        let schema = Arc::new(DFSchema::new_with_metadata(fields, below.as_ref().metadata().clone())?);
        Ok(Self { input, time, cut, schema })
    }

    /// The rows that get windows.
    pub fn input(&self) -> &LogicalPlan {
        &self.input
    }

    /// The time column of the input.
    pub fn time(&self) -> &Column {
        &self.time
    }

    /// The windows.
    pub fn cut(&self) -> &Cut {
        &self.cut
    }

    /// Names of the columns for start, end and time of the window, which follow those of the input.
    pub fn window_columns(&self) -> Vec<&str> {
        self.schema.fields()[self.width()..].iter().map(|f| f.name().as_str()).collect()
    }

    /// How many columns the input has; the window columns follow them.
    fn width(&self) -> usize {
        self.input.schema().fields().len()
    }

    fn text(&self) -> String {
        match &self.cut {
            Cut::Fixed(Window::Tumble { size_ms, offset_ms }) => {
                format!("tumble size={size_ms}ms offset={offset_ms}ms")
            }
            Cut::Fixed(Window::Hop { size_ms, slide_ms, offset_ms }) => {
                format!("hop slide={slide_ms}ms size={size_ms}ms offset={offset_ms}ms")
            }
            Cut::Sessions { gap_ms, partition } => {
                let by: Vec<String> = partition.iter().map(Column::flat_name).collect();
                format!("session gap={gap_ms}ms by ({})", by.join(", "))
            }
        }
    }

    /// The columns whose values have sessions of their own.
    fn partition(&self) -> &[Column] {
        match &self.cut {
            Cut::Fixed(_) => &[],
            Cut::Sessions { partition, .. } => partition,
        }
    }
}

impl Hash for WindowAssign {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.input, &self.time, &self.cut).hash(state);
    }
}

impl PartialOrd for WindowAssign {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        if self == other { Some(Ordering::Equal) } else { None }
    }
}

impl UserDefinedLogicalNodeCore for WindowAssign {
    fn name(&self) -> &str {
        "WindowAssign"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        std::iter::once(&self.time).chain(self.partition()).cloned().map(Expr::Column).collect()
    }

    /// Predicates over the window columns stay above; all others may be tested before. Which session a row is in depends on all rows of its partition: only
    /// predicates that tell whole partitions apart may be tested before.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        let first = match self.cut {
            Cut::Fixed(_) => self.width(),
            Cut::Sessions { .. } => 0,
        };
        let apart = |name: &str| self.partition().iter().any(|c| c.name() == name);
        let names = self.schema.fields()[first..].iter().map(|f| f.name());
        names.filter(|name| !apart(name)).cloned().collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WindowAssign: {} on {}", self.text(), self.time.flat_name())
    }

    /// The expressions are the time, then what parts sessions: it may be more than before.
    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let columns = exprs.into_iter().map(|e| match e {
            Expr::Column(column) => Ok(column),
            other => plan_err!("WindowAssign reads columns, and {other} is none"),
        });
        let mut columns = columns.collect::<Result<Vec<_>>>()?.into_iter();
        let (Some(time), Some(input)) = (columns.next(), inputs.pop()) else {
            return plan_err!("WindowAssign has a time column and one input");
        };
        let cut = match &self.cut {
            Cut::Fixed(window) => Cut::Fixed(*window),
            Cut::Sessions { gap_ms, .. } => Cut::Sessions { gap_ms: *gap_ms, partition: columns.collect() },
        };
        Self::try_new(Arc::new(input), time, cut)
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let mut needed: Vec<usize> = output_columns.iter().copied().filter(|c| *c < self.width()).collect();
        for column in std::iter::once(&self.time).chain(self.partition()) {
            needed.push(self.input.schema().index_of_column(column).ok()?);
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}
