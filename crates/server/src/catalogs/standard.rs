//! The rows of `information_schema`.

use super::Catalogs;
use super::objects::{Described, Kind, Object, TableIndex};
use super::shape::{self, Shape};
use eddyline_introspection::{Row, Value};

impl Catalogs<'_> {
    /// The rows of a relation of `information_schema`. Of most there is nothing here.
    pub(super) fn of_standard(&self, shape: &Shape) -> Vec<Row> {
        let objects = self.objects();
        let database = self.database();
        let database = database.as_str();
        let constrained = || objects.iter().flat_map(|o| o.constraints().map(move |of| (o, of)));
        match shape.name {
            "information_schema_catalog_name" => vec![shape.row([("catalog_name", database.into())])],
            "schemata" => self
                .schemas()
                .into_iter()
                .map(|name| {
                    shape.row([
                        ("catalog_name", database.into()),
                        ("schema_name", name.into()),
                        ("schema_owner", "root".into()),
                    ])
                })
                .collect(),
            "tables" => objects
                .iter()
                .map(|o| table(shape, database, o))
                .chain(shape::shapes().iter().map(|own| own_table(shape, database, own)))
                .collect(),
            "columns" => objects
                .iter()
                .flat_map(|o| (1_i64..).zip(&o.columns).map(|(at, column)| column_row(shape, database, o, at, column)))
                .collect(),
            "views" => objects.iter().filter(|o| o.kind == Kind::View).map(|o| view(shape, database, o)).collect(),
            "table_constraints" => constrained().map(|(o, of)| constraint(shape, database, o, of)).collect(),
            "key_column_usage" => constrained()
                .flat_map(|(o, of)| {
                    (1_i64..)
                        .zip(&of.columns)
                        .map(move |(at, column)| key_column(shape, database, (o, of), at, &column.name))
                })
                .collect(),
            "constraint_column_usage" => constrained()
                .flat_map(|(o, of)| {
                    of.columns.iter().map(move |column| used_column(shape, database, (o, of), &column.name))
                })
                .collect(),
            "table_privileges" | "role_table_grants" => {
                objects.iter().flat_map(|o| PRIVILEGES.map(|privilege| grant(shape, database, o, privilege))).collect()
            }
            "enabled_roles" => vec![shape.row([("role_name", self.user().into())])],
            _ => Vec::new(),
        }
    }
}

/// What everybody may do with everything.
const PRIVILEGES: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];

fn yes(value: bool) -> Value {
    if value { "YES" } else { "NO" }.into()
}

fn table(shape: &Shape, database: &str, o: &Object) -> Row {
    let kind = match o.kind {
        Kind::Table if o.temporary => "LOCAL TEMPORARY",
        Kind::Table | Kind::Source => "BASE TABLE",
        Kind::View => "VIEW",
        // Postgres leaves them out, and tools would not find them.
        Kind::MaterializedView => "MATERIALIZED VIEW",
    };
    shape.row([
        ("table_catalog", database.into()),
        ("table_schema", o.schema.as_str().into()),
        ("table_name", o.name.as_str().into()),
        ("table_type", kind.into()),
        ("is_insertable_into", yes(o.kind == Kind::Table)),
        ("is_typed", "NO".into()),
    ])
}

fn own_table(shape: &Shape, database: &str, own: &Shape) -> Row {
    shape.row([
        ("table_catalog", database.into()),
        ("table_schema", own.schema.into()),
        ("table_name", own.name.into()),
        ("table_type", if own.kind == "r" { "BASE TABLE" } else { "VIEW" }.into()),
        ("is_insertable_into", "NO".into()),
        ("is_typed", "NO".into()),
    ])
}

fn column_row(shape: &Shape, database: &str, o: &Object, at: i64, column: &Described) -> Row {
    let of = shape::type_of(column.of);
    let is_array = of.is_some_and(|of| of.category == "A");
    let name = of.map_or("text", |of| of.name);
    let shown = if is_array { "ARRAY" } else { of.map_or("text", |of| of.shown) };
    // Bits of what has a fixed width, digits of what is exact.
    let digits = match name {
        "int2" => Some((16, 2, Some(0))),
        "int4" => Some((32, 2, Some(0))),
        "int8" => Some((64, 2, Some(0))),
        "float4" => Some((24, 2, None)),
        "float8" => Some((53, 2, None)),
        "numeric" if column.modifier >= 4 => {
            Some(((column.modifier - 4) >> 16, 10, Some((column.modifier - 4) & 0xffff)))
        }
        _ => None,
    };
    let seconds = match name {
        "date" => Some(0),
        "time" | "timestamp" | "timestamptz" | "interval" => {
            Some(if column.modifier < 0 { 6 } else { column.modifier })
        }
        _ => None,
    };
    shape.row([
        ("table_catalog", database.into()),
        ("table_schema", o.schema.as_str().into()),
        ("table_name", o.name.as_str().into()),
        ("column_name", column.name.as_str().into()),
        ("ordinal_position", at.into()),
        ("column_default", column.default.clone().into()),
        ("is_nullable", yes(column.nullable)),
        ("data_type", shown.into()),
        ("character_octet_length", (name == "text").then_some(1_073_741_824).into()),
        ("numeric_precision", digits.map(|(precision, ..)| precision).into()),
        ("numeric_precision_radix", digits.map(|(_, radix, _)| radix).into()),
        ("numeric_scale", digits.and_then(|(.., scale)| scale).into()),
        ("datetime_precision", seconds.into()),
        ("udt_catalog", database.into()),
        ("udt_schema", "pg_catalog".into()),
        ("udt_name", name.into()),
        ("dtd_identifier", at.to_string().into()),
        ("is_self_referencing", "NO".into()),
        ("is_identity", "NO".into()),
        ("identity_cycle", "NO".into()),
        ("is_generated", if column.computed.is_some() { "ALWAYS" } else { "NEVER" }.into()),
        ("generation_expression", column.computed.clone().into()),
        ("is_updatable", yes(o.kind == Kind::Table)),
    ])
}

fn view(shape: &Shape, database: &str, o: &Object) -> Row {
    shape.row([
        ("table_catalog", database.into()),
        ("table_schema", o.schema.as_str().into()),
        ("table_name", o.name.as_str().into()),
        ("view_definition", o.definition.clone().into()),
        ("check_option", "NONE".into()),
        ("is_updatable", "NO".into()),
        ("is_insertable_into", "NO".into()),
        ("is_trigger_updatable", "NO".into()),
        ("is_trigger_deletable", "NO".into()),
        ("is_trigger_insertable_into", "NO".into()),
    ])
}

fn constraint(shape: &Shape, database: &str, o: &Object, of: &TableIndex) -> Row {
    shape.row([
        ("constraint_catalog", database.into()),
        ("constraint_schema", o.schema.as_str().into()),
        ("constraint_name", of.name.as_str().into()),
        ("table_catalog", database.into()),
        ("table_schema", o.schema.as_str().into()),
        ("table_name", o.name.as_str().into()),
        ("constraint_type", if of.is_primary { "PRIMARY KEY" } else { "UNIQUE" }.into()),
        ("is_deferrable", "NO".into()),
        ("initially_deferred", "NO".into()),
        ("enforced", "YES".into()),
    ])
}

fn key_column(shape: &Shape, database: &str, (o, of): (&Object, &TableIndex), at: i64, column: &str) -> Row {
    shape.row([
        ("constraint_catalog", database.into()),
        ("constraint_schema", o.schema.as_str().into()),
        ("constraint_name", of.name.as_str().into()),
        ("table_catalog", database.into()),
        ("table_schema", o.schema.as_str().into()),
        ("table_name", o.name.as_str().into()),
        ("column_name", column.into()),
        ("ordinal_position", at.into()),
    ])
}

fn used_column(shape: &Shape, database: &str, (o, of): (&Object, &TableIndex), column: &str) -> Row {
    shape.row([
        ("table_catalog", database.into()),
        ("table_schema", o.schema.as_str().into()),
        ("table_name", o.name.as_str().into()),
        ("column_name", column.into()),
        ("constraint_catalog", database.into()),
        ("constraint_schema", o.schema.as_str().into()),
        ("constraint_name", of.name.as_str().into()),
    ])
}

fn grant(shape: &Shape, database: &str, o: &Object, privilege: &str) -> Row {
    shape.row([
        ("grantor", "root".into()),
        ("grantee", "root".into()),
        ("table_catalog", database.into()),
        ("table_schema", o.schema.as_str().into()),
        ("table_name", o.name.as_str().into()),
        ("privilege_type", privilege.into()),
        ("is_grantable", "YES".into()),
        ("with_hierarchy", yes(privilege == "SELECT")),
    ])
}
