use super::context::external;
use crate::parse::arrow_type;
use arrow::datatypes::{Field, FieldRef};
use datafusion_common::Result;
use datafusion_expr::planner::TypePlanner;
use sqlparser::ast::DataType as SqlType;
use std::sync::Arc;

/// SQL types as the parser reads them, where ours differ from DataFusion's: strings are plain, times have the
/// precision they were given.
#[derive(Debug)]
pub(crate) struct SqlTypes;

impl TypePlanner for SqlTypes {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        arrow_type(sql_type).map(|t| Some(Arc::new(Field::new("", t, true)))).map_err(external)
    }
}
