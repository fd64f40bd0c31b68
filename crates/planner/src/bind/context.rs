use super::state_table::StateTablePlanner;
use super::state_ttl::StateTtlPlanner;
use super::unnest::UnnestPlanner;
use super::using_join::UsingPlanner;
use super::window_tvf::WindowTvfPlanner;
use super::{BoundView, CatalogTable, Functions, types};
use crate::{Planner, SqlError};
use arrow::datatypes::SchemaRef;
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DataFusionError, TableReference};
use datafusion_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner, TypePlanner};
use datafusion_expr::{AggregateUDF, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, WindowUDF};
use eddyline_catalog::{Catalog, CatalogError, Dialect, Name, Object, Reference, SearchPath};
use eddyline_functions::scalar::Zone;
use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;

/// What DataFusion's binder asks us: tables and views of the catalog, functions, types.
pub(crate) struct Context<'p, 'a> {
    planner: &'p Planner<'a>,
    /// In Flink's dialect, in that of Postgres.
    functions: [OnceCell<Arc<Functions>>; 2],
    /// In which the text at hand is written.
    dialect: Cell<Dialect>,
    config: Arc<ConfigOptions>,
    relation_planners: Vec<Arc<dyn RelationPlanner>>,
    /// Views being bound, outermost first.
    views: RefCell<Vec<Name>>,
    /// Where names in their texts are looked for.
    stored: SearchPath,
}

impl<'p, 'a> Context<'p, 'a> {
    pub(crate) fn new(planner: &'p Planner<'a>) -> Result<Self, SqlError> {
        let of_planner = |dialect| planner.functions.meant(&planner.options.time_zone, dialect).map(OnceCell::from);
        Ok(Self {
            planner,
            functions: match planner.options.dialect {
                Dialect::Flink => [of_planner(Dialect::Flink)?, OnceCell::new()],
                Dialect::Postgres => [OnceCell::new(), of_planner(Dialect::Postgres)?],
            },
            dialect: Cell::new(planner.options.dialect),
            config: planner.config(),
            relation_planners: vec![
                Arc::new(StateTtlPlanner),
                Arc::new(WindowTvfPlanner),
                Arc::new(UsingPlanner),
                Arc::new(UnnestPlanner),
                Arc::new(StateTablePlanner(planner.states.clone())),
            ],
            views: RefCell::default(),
            stored: SearchPath::default(),
        })
    }

    fn functions(&self) -> &Functions {
        let dialect = self.dialect.get();
        let (Planner { functions, options, .. }, [flink, postgres]) = (self.planner, &self.functions);
        let known = if dialect == Dialect::Flink { flink } else { postgres };
        // The time zone is one: it was looked at when the first of them were made.
        known.get_or_init(|| functions.meant(&options.time_zone, dialect).unwrap_or_else(|_| functions.clone()))
    }

    /// The session's time zone.
    pub(crate) fn zone(&self) -> Zone {
        // It was looked at when the functions were made.
        Zone::parse(&self.planner.options.time_zone).unwrap_or_else(|_| Zone::utc())
    }

    /// What is bound inside of this is written in a dialect.
    pub(crate) fn written_in<T>(&self, dialect: Dialect, bind: impl FnOnce() -> T) -> T {
        let around = self.dialect.replace(dialect);
        let bound = bind();
        self.dialect.set(around);
        bound
    }

    /// What makes the text of a value.
    pub(crate) fn text_form(&self) -> Arc<ScalarUDF> {
        self.functions().text_form.clone()
    }

    /// What makes the text of an integer of that of a number.
    pub(crate) fn whole_part(&self) -> Arc<ScalarUDF> {
        self.functions().whole_part.clone()
    }

    fn path(&self) -> &SearchPath {
        if self.views.borrow().is_empty() { &self.planner.options.search_path } else { &self.stored }
    }

    /// The bound query of a view.
    pub(super) fn definition(&self, view: &eddyline_catalog::View) -> Result<LogicalPlan, SqlError> {
        self.views.borrow_mut().push(view.name.clone());
        let bound = super::view_plan(self, view);
        self.views.borrow_mut().pop();
        bound
    }

    fn view(&self, view: &eddyline_catalog::View) -> datafusion_common::Result<Arc<dyn TableSource>> {
        if self.views.borrow().contains(&view.name) {
            return Err(external(SqlError::new(SqlError::INVALID, format!("view {} is defined by itself", view.name))));
        }
        let plan = self.definition(view).map_err(|mut e| {
            // The place is one in the view's text, not in the statement's.
            e.position = None;
            let said = e.detail.take().map(|d| format!("; {d}")).unwrap_or_default();
            external(e.with_detail(format!("in the definition of view {}{said}", view.name)))
        })?;
        Ok(Arc::new(BoundView::new(plan)))
    }
}

/// Carries one of our errors through DataFusion.
pub(crate) fn external(error: SqlError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The names of what can be read.
fn readable(catalog: &Catalog) -> impl Iterator<Item = &Name> {
    catalog.objects().filter(|(_, object)| !matches!(object, Object::Index(_) | Object::Sink(_))).map(|(name, _)| name)
}

impl ContextProvider for Context<'_, '_> {
    fn get_table_source(&self, name: TableReference) -> datafusion_common::Result<Arc<dyn TableSource>> {
        let catalog = self.planner.catalog;
        if let Some(schema @ ("pg_catalog" | "information_schema")) = name.schema()
            && catalog.object(&Name::new(schema, name.table())).is_err()
        {
            let message = format!("relation {schema}.{} does not exist here", name.table());
            return Err(external(
                SqlError::new(SqlError::UNDEFINED_TABLE, message)
                    .with_hint("the server answers it; SHOW TABLES lists tables"),
            ));
        }
        let written = Reference {
            database: name.catalog().map(str::to_owned),
            schema: name.schema().map(str::to_owned),
            object: name.table().to_owned(),
        };
        match catalog.resolve(&written, self.path()).and_then(|name| catalog.object(&name)) {
            Ok(Object::Table(table)) => Ok(Arc::new(CatalogTable::new(self.planner.read_as(table), table.is_kept()))),
            Ok(Object::View(view)) => self.view(view),
            Ok(Object::MaterializedView(view)) => {
                Ok(Arc::new(CatalogTable::new(self.planner.read_as(&view.table), false)))
            }
            Ok(Object::Sink(sink)) => {
                let message = format!("{} is a sink: it is written, and not read", sink.view.name);
                Err(external(SqlError::new("42809", message).with_hint("read what its query reads")))
            }
            Ok(Object::Index(index)) => {
                let message = format!("{} is an index of {}", index.name, index.table);
                Err(external(SqlError::new("42809", message).with_hint(format!("read {}", index.table))))
            }
            Err(CatalogError::Missing { nearest, .. }) => {
                let known: Vec<String> = readable(catalog).map(Name::to_string).collect();
                let error = SqlError::new(SqlError::UNDEFINED_TABLE, format!("table or view {written} does not exist"));
                Err(external(match nearest {
                    Some(nearest) => error.with_hint(format!("did you mean {nearest}?")),
                    None if known.is_empty() => error.with_hint("there are no tables yet: CREATE TABLE makes one"),
                    None => error.with_hint(format!("known names are: {}", known.join(", "))),
                }))
            }
            Err(e) => Err(external(SqlError::of_catalog(&e))),
        }
    }

    /// Asked for what a query of WITH RECURSIVE says of itself.
    fn create_cte_work_table(&self, name: &str, _: SchemaRef) -> datafusion_common::Result<Arc<dyn TableSource>> {
        let error = SqlError::new(SqlError::UNSUPPORTED, format!("WITH RECURSIVE: {name} is defined by itself"))
            .with_hint("for a known number of steps, write each as a query of WITH that joins the one before, and UNION ALL them; numbers come from UNNEST(GENERATE_SERIES(1, n))");
        Err(external(error))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.functions().expr_planners
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relation_planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(types::SqlTypes))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let function = self.functions().scalar.get(&name.to_lowercase())?;
        // Some functions read the session's time zone when they are bound.
        Some(match function.inner().with_updated_config(&self.config) {
            Some(configured) => Arc::new(configured),
            None => function.clone(),
        })
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.functions().higher_order.get(&name.to_lowercase()).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.functions().aggregate.get(&name.to_lowercase()).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.functions().window.get(&name.to_lowercase()).cloned()
    }

    fn get_variable_type(&self, _: &[String]) -> Option<arrow::datatypes::DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.config
    }

    fn udf_names(&self) -> Vec<String> {
        self.functions().scalar.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.functions().higher_order.keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.functions().aggregate.keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.functions().window.keys().cloned().collect()
    }
}
