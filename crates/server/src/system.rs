//! The relations of `pg_catalog` and `information_schema`, as far as clients ask for them: what there is of tables and views, by their names.
//!
//! Numbers of objects come from their names, so that they are the same in every query. There is one database and one schema of the user's, `public`.

use crate::values::oid;
use eddyline_engine::arrow::datatypes::{DataType, Schema};
use eddyline_engine::catalog::{Catalog, Object, View};
use eddyline_engine::{POSTGRES_TYPES, Session, SystemRelation};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Numbers below are PostgreSQL's own.
const FIRST_OID: u32 = 16_384;
const PG_CATALOG: u32 = 11;
const PUBLIC: u32 = 2200;
const INFORMATION_SCHEMA: u32 = 13_000;
const OWNER: u32 = 10;
const DATABASE_OID: u32 = 16_383;

/// A table or view as clients see it.
struct Relation {
    name: String,
    kind: Kind,
    schema: Arc<Schema>,
    key: Vec<String>,
    definition: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Table,
    View,
    MaterializedView,
}

/// The rows of a relation; `None`: there is none of this name.
pub(crate) fn relation(session: &Session, database: &str, schema: &str, name: &str) -> Option<SystemRelation> {
    match schema {
        "pg_catalog" => of_postgres(session, database, name),
        _ => of_standard(session, database, name),
    }
}

fn of_postgres(session: &Session, database: &str, name: &str) -> Option<SystemRelation> {
    let all = || relations(session);
    Some(match name {
        "pg_class" => table(
            &[
                ("oid", "BIGINT"),
                ("relname", "STRING"),
                ("relnamespace", "BIGINT"),
                ("reltype", "BIGINT"),
                ("reloftype", "BIGINT"),
                ("relowner", "BIGINT"),
                ("relam", "BIGINT"),
                ("reltablespace", "BIGINT"),
                ("reltuples", "FLOAT"),
                ("relhasindex", "BOOLEAN"),
                ("relpersistence", "STRING"),
                ("relkind", "STRING"),
                ("relnatts", "SMALLINT"),
                ("relchecks", "SMALLINT"),
                ("reltoastrelid", "BIGINT"),
                ("relhasrules", "BOOLEAN"),
                ("relhastriggers", "BOOLEAN"),
                ("relrowsecurity", "BOOLEAN"),
                ("relforcerowsecurity", "BOOLEAN"),
                ("relispartition", "BOOLEAN"),
                ("relreplident", "STRING"),
            ],
            all().into_iter().map(|r| {
                let kind = match r.kind {
                    Kind::Table => "r",
                    Kind::View => "v",
                    Kind::MaterializedView => "m",
                };
                let (oid, columns) = (oid_of(&r.name).to_string(), r.schema.fields().len().to_string());
                row([
                    &oid,
                    &r.name,
                    &PUBLIC.to_string(),
                    "0",
                    "0",
                    &OWNER.to_string(),
                    "0",
                    "0",
                    "-1",
                    "FALSE",
                    "p",
                    kind,
                    &columns,
                    "0",
                    "0",
                    "FALSE",
                    "FALSE",
                    "FALSE",
                    "FALSE",
                    "FALSE",
                    "d",
                ])
            }),
        ),
        "pg_attribute" => table(
            &[
                ("attrelid", "BIGINT"),
                ("attname", "STRING"),
                ("atttypid", "BIGINT"),
                ("attlen", "SMALLINT"),
                ("attnum", "SMALLINT"),
                ("atttypmod", "INT"),
                ("attnotnull", "BOOLEAN"),
                ("atthasdef", "BOOLEAN"),
                ("attidentity", "STRING"),
                ("attgenerated", "STRING"),
                ("attisdropped", "BOOLEAN"),
                ("attcollation", "BIGINT"),
            ],
            all().into_iter().flat_map(|r| {
                let relation = oid_of(&r.name).to_string();
                let column = |(at, field): (usize, &Arc<eddyline_engine::arrow::datatypes::Field>)| {
                    let not_null = boolean(!field.is_nullable());
                    row([
                        &relation,
                        field.name(),
                        &oid(field.data_type()).to_string(),
                        "-1",
                        &(at + 1).to_string(),
                        "-1",
                        not_null,
                        "FALSE",
                        "",
                        "",
                        "FALSE",
                        "0",
                    ])
                };
                r.schema.fields().iter().enumerate().map(column).collect::<Vec<_>>()
            }),
        ),
        "pg_namespace" => table(
            &[("oid", "BIGINT"), ("nspname", "STRING"), ("nspowner", "BIGINT")],
            [(PG_CATALOG, "pg_catalog"), (PUBLIC, "public"), (INFORMATION_SCHEMA, "information_schema")]
                .into_iter()
                .map(|(oid, name)| row([&oid.to_string(), name, &OWNER.to_string()])),
        ),
        "pg_database" => table(
            &[
                ("oid", "BIGINT"),
                ("datname", "STRING"),
                ("datdba", "BIGINT"),
                ("encoding", "INT"),
                ("datlocprovider", "STRING"),
                ("datistemplate", "BOOLEAN"),
                ("datallowconn", "BOOLEAN"),
                ("datcollate", "STRING"),
                ("datctype", "STRING"),
                ("daticulocale", "STRING"),
                ("datacl", "ARRAY<STRING>"),
            ],
            [vec![
                Some(DATABASE_OID.to_string()),
                Some(database.to_owned()),
                Some(OWNER.to_string()),
                Some("6".to_owned()),
                Some("c".to_owned()),
                Some("FALSE".to_owned()),
                Some("TRUE".to_owned()),
                Some("C.UTF-8".to_owned()),
                Some("C.UTF-8".to_owned()),
                None,
                None,
            ]],
        ),
        "pg_am" => table(&[("oid", "BIGINT"), ("amname", "STRING")], [row(["2", "heap"])]),
        "pg_tables" => table(
            &[("schemaname", "STRING"), ("tablename", "STRING"), ("tableowner", "STRING")],
            all().into_iter().filter(|r| r.kind == Kind::Table).map(|r| row(["public", &r.name, "root"])),
        ),
        "pg_roles" => table(
            &[
                ("oid", "BIGINT"),
                ("rolname", "STRING"),
                ("rolsuper", "BOOLEAN"),
                ("rolinherit", "BOOLEAN"),
                ("rolcreaterole", "BOOLEAN"),
                ("rolcreatedb", "BOOLEAN"),
                ("rolcanlogin", "BOOLEAN"),
                ("rolreplication", "BOOLEAN"),
                ("rolbypassrls", "BOOLEAN"),
                ("rolconnlimit", "INT"),
                ("rolvaliduntil", "STRING"),
            ],
            [row([
                &OWNER.to_string(),
                "root",
                "TRUE",
                "TRUE",
                "TRUE",
                "TRUE",
                "TRUE",
                "FALSE",
                "FALSE",
                "-1",
                "infinity",
            ])],
        ),
        "pg_type" => table(
            &[
                ("oid", "BIGINT"),
                ("typname", "STRING"),
                ("typnamespace", "BIGINT"),
                ("typtype", "STRING"),
                ("typelem", "BIGINT"),
                ("typcollation", "BIGINT"),
            ],
            POSTGRES_TYPES.iter().map(|(oid, name, _)| {
                let kind = if *name == "record" { "p" } else { "b" };
                row([&oid.to_string(), name, &PG_CATALOG.to_string(), kind, "0", "0"])
            }),
        ),
        "pg_views" => views(all(), Kind::View, "viewname"),
        "pg_matviews" => views(all(), Kind::MaterializedView, "matviewname"),
        // There is nothing of these.
        name => table(EMPTY.iter().find(|(empty, _)| *empty == name)?.1, []),
    })
}

/// Names and types of columns.
type Columns = &'static [(&'static str, &'static str)];

/// Relations without rows: indexes, constraints, functions of the user and the like are not told of here.
const EMPTY: &[(&str, Columns)] = &[
    ("pg_attrdef", &[("oid", "BIGINT"), ("adrelid", "BIGINT"), ("adnum", "SMALLINT"), ("adbin", "STRING")]),
    ("pg_collation", &[("oid", "BIGINT"), ("collname", "STRING"), ("collnamespace", "BIGINT")]),
    ("pg_description", &[("objoid", "BIGINT"), ("classoid", "BIGINT"), ("objsubid", "INT"), ("description", "STRING")]),
    (
        "pg_inherits",
        &[("inhrelid", "BIGINT"), ("inhparent", "BIGINT"), ("inhseqno", "INT"), ("inhdetachpending", "BOOLEAN")],
    ),
    (
        "pg_policy",
        &[
            ("oid", "BIGINT"),
            ("polname", "STRING"),
            ("polrelid", "BIGINT"),
            ("polpermissive", "BOOLEAN"),
            ("polroles", "ARRAY<BIGINT>"),
            ("polqual", "STRING"),
            ("polwithcheck", "STRING"),
            ("polcmd", "STRING"),
        ],
    ),
    (
        "pg_proc",
        &[
            ("oid", "BIGINT"),
            ("proname", "STRING"),
            ("pronamespace", "BIGINT"),
            ("prokind", "STRING"),
            ("prorettype", "BIGINT"),
        ],
    ),
    (
        "pg_statistic_ext",
        &[
            ("oid", "BIGINT"),
            ("stxrelid", "BIGINT"),
            ("stxnamespace", "BIGINT"),
            ("stxname", "STRING"),
            ("stxkind", "ARRAY<STRING>"),
            ("stxstattarget", "INT"),
        ],
    ),
    ("pg_publication", &[("oid", "BIGINT"), ("pubname", "STRING"), ("puballtables", "BOOLEAN")]),
    ("pg_publication_namespace", &[("pnpubid", "BIGINT"), ("pnnspid", "BIGINT")]),
    (
        "pg_publication_rel",
        &[("prpubid", "BIGINT"), ("prrelid", "BIGINT"), ("prqual", "STRING"), ("prattrs", "ARRAY<SMALLINT>")],
    ),
    (
        "pg_index",
        &[("indexrelid", "BIGINT"), ("indrelid", "BIGINT"), ("indisprimary", "BOOLEAN"), ("indisunique", "BOOLEAN")],
    ),
    ("pg_constraint", &[("oid", "BIGINT"), ("conname", "STRING"), ("conrelid", "BIGINT"), ("contype", "STRING")]),
    ("pg_auth_members", &[("roleid", "BIGINT"), ("member", "BIGINT")]),
];

fn views(all: Vec<Relation>, kind: Kind, name: &'static str) -> SystemRelation {
    let of = all.into_iter().filter(|r| r.kind == kind);
    table(
        &[("schemaname", "STRING"), (name, "STRING"), ("definition", "STRING")],
        of.map(|r| vec![Some("public".into()), Some(r.name), r.definition]),
    )
}

fn of_standard(session: &Session, database: &str, name: &str) -> Option<SystemRelation> {
    let all = || relations(session);
    Some(match name {
        "schemata" => table(
            &[("catalog_name", "STRING"), ("schema_name", "STRING"), ("schema_owner", "STRING")],
            ["pg_catalog", "public", "information_schema"].into_iter().map(|name| row([database, name, "root"])),
        ),
        "tables" => table(
            &[
                ("table_catalog", "STRING"),
                ("table_schema", "STRING"),
                ("table_name", "STRING"),
                ("table_type", "STRING"),
                ("is_insertable_into", "STRING"),
            ],
            all().into_iter().map(|r| {
                let (kind, takes) = match r.kind {
                    Kind::Table => ("BASE TABLE", "YES"),
                    Kind::View => ("VIEW", "NO"),
                    Kind::MaterializedView => ("MATERIALIZED VIEW", "NO"),
                };
                row([database, "public", &r.name, kind, takes])
            }),
        ),
        "views" => table(
            &[
                ("table_catalog", "STRING"),
                ("table_schema", "STRING"),
                ("table_name", "STRING"),
                ("view_definition", "STRING"),
            ],
            all()
                .into_iter()
                .filter(|r| r.kind == Kind::View)
                .map(|r| vec![Some(database.to_owned()), Some("public".into()), Some(r.name), r.definition]),
        ),
        "columns" => table(
            &[
                ("table_catalog", "STRING"),
                ("table_schema", "STRING"),
                ("table_name", "STRING"),
                ("column_name", "STRING"),
                ("ordinal_position", "INT"),
                ("column_default", "STRING"),
                ("is_nullable", "STRING"),
                ("data_type", "STRING"),
                ("numeric_precision", "INT"),
                ("numeric_scale", "INT"),
                ("udt_name", "STRING"),
            ],
            all().into_iter().flat_map(|r| {
                let fields = r.schema.fields().iter().enumerate();
                fields
                    .map(|(at, field)| {
                        let (precision, scale) = match field.data_type() {
                            DataType::Decimal128(p, s) => (Some(p.to_string()), Some(s.to_string())),
                            _ => (None, None),
                        };
                        let (of, short) = type_names(field.data_type());
                        vec![
                            Some(database.to_owned()),
                            Some("public".to_owned()),
                            Some(r.name.clone()),
                            Some(field.name().clone()),
                            Some((at + 1).to_string()),
                            None,
                            Some(if field.is_nullable() { "YES" } else { "NO" }.to_owned()),
                            Some(of.to_owned()),
                            precision,
                            scale,
                            Some(short.to_owned()),
                        ]
                    })
                    .collect::<Vec<_>>()
            }),
        ),
        "key_column_usage" => table(
            &[
                ("constraint_name", "STRING"),
                ("table_catalog", "STRING"),
                ("table_schema", "STRING"),
                ("table_name", "STRING"),
                ("column_name", "STRING"),
                ("ordinal_position", "INT"),
            ],
            all().into_iter().flat_map(|r| {
                let constraint = format!("{}_pkey", r.name);
                let key = r.key.iter().enumerate();
                key.map(|(at, column)| row([&constraint, database, "public", &r.name, column, &(at + 1).to_string()]))
                    .collect::<Vec<_>>()
            }),
        ),
        "table_constraints" => table(
            &[
                ("constraint_name", "STRING"),
                ("table_catalog", "STRING"),
                ("table_schema", "STRING"),
                ("table_name", "STRING"),
                ("constraint_type", "STRING"),
            ],
            all()
                .into_iter()
                .filter(|r| !r.key.is_empty())
                .map(|r| row([&format!("{}_pkey", r.name), database, "public", &r.name, "PRIMARY KEY"])),
        ),
        _ => return None,
    })
}

/// All tables and views. One whose query does not hold any more has no columns.
fn relations(session: &Session) -> Vec<Relation> {
    let catalog: &Catalog = session.catalog();
    let relation = |(name, object): (&str, &Object)| match object {
        Object::Table(table) => Relation {
            name: name.to_owned(),
            kind: Kind::Table,
            schema: table.schema(),
            key: table.primary_key.clone(),
            definition: None,
        },
        Object::MaterializedView(view) => Relation {
            name: name.to_owned(),
            kind: Kind::MaterializedView,
            schema: view.table.schema(),
            key: Vec::new(),
            definition: Some(view.view.sql.clone()),
        },
        Object::View(view) => Relation {
            name: name.to_owned(),
            kind: Kind::View,
            schema: columns_of(session, view),
            key: Vec::new(),
            definition: Some(view.sql.clone()),
        },
    };
    catalog.objects().map(relation).collect()
}

fn columns_of(session: &Session, view: &View) -> Arc<Schema> {
    session.columns_of_view(&view.name).unwrap_or_else(|_| Arc::new(Schema::empty()))
}

fn table(
    columns: &[(&'static str, &'static str)],
    rows: impl IntoIterator<Item = Vec<Option<String>>>,
) -> SystemRelation {
    SystemRelation { columns: columns.to_vec(), rows: rows.into_iter().collect() }
}

fn row<const N: usize>(values: [&str; N]) -> Vec<Option<String>> {
    values.into_iter().map(|value| Some(value.to_owned())).collect()
}

fn boolean(value: bool) -> &'static str {
    if value { "TRUE" } else { "FALSE" }
}

fn oid_of(name: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    FIRST_OID + (hasher.finish() % u64::from(i32::MAX as u32 - FIRST_OID)) as u32
}

/// What a type is called in the standard, and in short.
fn type_names(of: &DataType) -> (&'static str, &'static str) {
    if matches!(of, DataType::List(_)) {
        return ("ARRAY", "_text");
    }
    let oid = oid(of);
    let known = POSTGRES_TYPES.iter().find(|(number, ..)| *number == oid);
    known.map_or(("text", "text"), |(_, short, standard)| (*standard, *short))
}
