use arrow::datatypes::SchemaRef;
use datafusion_expr::{LogicalPlan, TableSource};
use eddyline_catalog::Table;
use std::borrow::Cow;
use std::sync::Arc;

/// A table of the catalog as a scan sees it: all columns, computed and metadata ones too. Which physical columns
/// a computed column needs is worked out where the scan becomes a source.
pub(crate) struct CatalogTable {
    pub(crate) table: Arc<Table>,
    /// Does the engine see to it that no two rows have the same PRIMARY KEY?
    pub(crate) keeps_key: bool,
    schema: SchemaRef,
}

impl CatalogTable {
    pub(crate) fn new(table: Arc<Table>, keeps_key: bool) -> Self {
        let schema = table.schema();
        Self { table, keeps_key, schema }
    }
}

impl TableSource for CatalogTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

/// A view: its bound query takes the place of the scan.
pub(crate) struct BoundView {
    schema: SchemaRef,
    plan: LogicalPlan,
}

impl BoundView {
    pub(crate) fn new(plan: LogicalPlan) -> Self {
        Self { schema: plan.schema().inner().clone(), plan }
    }
}

impl TableSource for BoundView {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.plan))
    }
}
