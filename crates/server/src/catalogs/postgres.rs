//! The rows of `pg_catalog`.

use super::objects::{Described, Kind, Object, TableIndex};
use super::shape::{self, Shape, TypeLine};
use super::{Catalogs, DATABASE_OID, INFORMATION_SCHEMA, OWNER, PG_CATALOG, PUBLIC};
use eddyline_engine::catalog::FIRST_DATABASE;
use eddyline_introspection::{Row, Type, Value};

/// Access methods.
const HEAP: u32 = 2;
const BTREE: u32 = 403;
/// `int8_ops` stands for the order of any type.
const OPERATOR_CLASS: u32 = 3124;
/// The collation of texts: `default`.
const COLLATION: u32 = 100;
/// The numbers of the catalogs themselves, as in `pg_class`.
const PG_CLASS: u32 = 1259;

impl Catalogs<'_> {
    /// The rows of a relation of `pg_catalog`. Of most there is nothing here.
    pub(super) fn of_postgres(&self, shape: &Shape) -> Vec<Row> {
        let objects = self.objects();
        let tables = || objects.iter().filter(|o| matches!(o.kind, Kind::Table | Kind::Source));
        let indexes = || objects.iter().flat_map(|o| o.indexes.iter().map(move |index| (o, index)));
        match shape.name {
            "pg_class" => self.classes(shape),
            "pg_attribute" => self.attributes(shape),
            "pg_namespace" => self.schemas().iter().map(|name| schema(shape, name)).collect(),
            "pg_type" => shape::types().iter().map(|of| type_row(shape, of)).collect(),
            "pg_database" => self.databases().iter().map(|name| database(shape, name)).collect(),
            "pg_am" => [(HEAP, "heap", "t"), (BTREE, "btree", "i")]
                .map(|(oid, name, kind)| {
                    shape.row([("oid", oid.into()), ("amname", name.into()), ("amtype", kind.into())])
                })
                .to_vec(),
            "pg_opclass" => vec![shape.row([
                ("oid", OPERATOR_CLASS.into()),
                ("opcmethod", BTREE.into()),
                ("opcname", "int8_ops".into()),
                ("opcnamespace", PG_CATALOG.into()),
                ("opcdefault", true.into()),
            ])],
            "pg_collation" => vec![shape.row([
                ("oid", COLLATION.into()),
                ("collname", "default".into()),
                ("collnamespace", PG_CATALOG.into()),
                ("collowner", OWNER.into()),
                ("collprovider", "d".into()),
                ("collisdeterministic", true.into()),
                ("collencoding", (-1).into()),
            ])],
            "pg_language" => {
                vec![shape.row([("oid", 14.into()), ("lanname", "sql".into()), ("lanowner", OWNER.into())])]
            }
            "pg_tablespace" => {
                vec![shape.row([("oid", 1663.into()), ("spcname", "pg_default".into()), ("spcowner", OWNER.into())])]
            }
            "pg_roles" | "pg_authid" | "pg_user" => self.roles(shape),
            "pg_tables" => tables()
                .map(|o| {
                    shape.row([
                        ("schemaname", o.schema.as_str().into()),
                        ("tablename", o.name.as_str().into()),
                        ("tableowner", "root".into()),
                        ("hasindexes", (!o.indexes.is_empty()).into()),
                        ("hasrules", false.into()),
                        ("hastriggers", false.into()),
                        ("rowsecurity", false.into()),
                    ])
                })
                .collect(),
            "pg_views" => self.views(shape, Kind::View, "viewname", "viewowner"),
            "pg_matviews" => self.views(shape, Kind::MaterializedView, "matviewname", "matviewowner"),
            "pg_attrdef" => objects.iter().flat_map(|o| defaults(shape, o)).collect(),
            "pg_constraint" => {
                objects.iter().flat_map(|o| o.constraints().map(move |of| constraint(shape, o, of))).collect()
            }
            "pg_index" => indexes().map(|(o, of)| index(shape, o, of)).collect(),
            "pg_indexes" => indexes()
                .map(|(o, of)| {
                    shape.row([
                        ("schemaname", o.schema.as_str().into()),
                        ("tablename", o.name.as_str().into()),
                        ("indexname", of.name.as_str().into()),
                        ("indexdef", super::functions::index_definition(o, of).into()),
                    ])
                })
                .collect(),
            "pg_description" => objects.iter().flat_map(|o| comments(shape, o)).collect(),
            "pg_settings" => self.settings(shape),
            "pg_prepared_statements" => {
                let variables = self.variables.borrow();
                let rows = variables.prepared.iter().map(|(name, held)| {
                    shape.row([
                        ("name", name.as_str().into()),
                        ("statement", held.sql.as_ref().into()),
                        ("parameter_types", Value::list(held.oids.iter().map(|oid| (*oid).into()))),
                        ("from_sql", held.from_sql.into()),
                    ])
                });
                rows.collect()
            }
            _ => Vec::new(),
        }
    }

    fn classes(&self, shape: &Shape) -> Vec<Row> {
        let mut rows = Vec::new();
        for o in self.objects() {
            rows.push(class(shape, o));
            for of in &o.indexes {
                rows.push(shape.row([
                    ("oid", of.oid.into()),
                    ("relname", of.name.as_str().into()),
                    ("relnamespace", schema_oid(&o.schema).into()),
                    ("relowner", OWNER.into()),
                    ("relam", BTREE.into()),
                    ("relkind", "i".into()),
                    ("relpersistence", if o.temporary { "t" } else { "p" }.into()),
                    ("relnatts", (of.columns.len() as i64).into()),
                    ("relreplident", "n".into()),
                    ("relispopulated", true.into()),
                    ("reltuples", Value::Float(-1.0)),
                ]));
            }
        }
        rows.extend(shape::shapes().iter().map(|own| {
            shape.row([
                ("oid", own.oid.into()),
                ("relname", own.name.into()),
                ("relnamespace", schema_oid(own.schema).into()),
                ("relowner", OWNER.into()),
                ("relam", if own.kind == "r" { HEAP } else { 0 }.into()),
                ("relkind", own.kind.into()),
                ("relpersistence", "p".into()),
                ("relnatts", (own.columns.len() as i64).into()),
                ("relreplident", "n".into()),
                ("relispopulated", true.into()),
                ("reltuples", Value::Float(-1.0)),
            ])
        }));
        rows
    }

    fn attributes(&self, shape: &Shape) -> Vec<Row> {
        let mut rows = Vec::new();
        for o in self.objects() {
            rows.extend((1_i64..).zip(&o.columns).map(|(at, column)| attribute(shape, o.oid, at, column)));
            for of in &o.indexes {
                let columns = of.columns.iter().filter_map(|part| o.columns.iter().find(|c| c.name == part.name));
                // Columns of an index take no default along.
                let bare = |column: &Described| Described {
                    name: column.name.clone(),
                    default: None,
                    computed: None,
                    comment: None,
                    nullable: column.nullable || !of.is_primary,
                    ..*column
                };
                rows.extend((1_i64..).zip(columns).map(|(at, column)| attribute(shape, of.oid, at, &bare(column))));
            }
        }
        for own in shape::shapes() {
            let of = |of: &Type| Described {
                name: String::new(),
                of: of.oid(),
                modifier: -1,
                nullable: true,
                default: None,
                computed: None,
                comment: None,
            };
            let column = |(at, (name, own_type)): (i64, &(String, Type))| {
                attribute(shape, own.oid, at, &Described { name: name.clone(), ..of(own_type) })
            };
            rows.extend((1..).zip(&own.columns).map(column));
        }
        rows
    }

    fn views(&self, shape: &Shape, kind: Kind, name: &str, owner: &str) -> Vec<Row> {
        let of = self.objects().iter().filter(|o| o.kind == kind);
        let row = |o: &Object| {
            shape.row([
                ("schemaname", o.schema.as_str().into()),
                (name, o.name.as_str().into()),
                (owner, "root".into()),
                ("definition", o.definition.clone().into()),
            ])
        };
        of.map(row).collect()
    }

    fn settings(&self, shape: &Shape) -> Vec<Row> {
        let row = |(name, value): (String, String)| {
            shape.row([
                ("name", name.into()),
                ("setting", value.as_str().into()),
                ("category", "Eddyline".into()),
                ("short_desc", "".into()),
                ("context", "user".into()),
                ("vartype", "string".into()),
                ("source", "session".into()),
                ("boot_val", value.as_str().into()),
                ("reset_val", value.into()),
                ("pending_restart", false.into()),
            ])
        };
        self.all_settings().into_iter().map(row).collect()
    }
}

pub(super) fn schema_oid(name: &str) -> u32 {
    match name {
        "pg_catalog" => PG_CATALOG,
        "information_schema" => INFORMATION_SCHEMA,
        "public" => PUBLIC,
        own => super::objects::oid("schema", own),
    }
}

fn schema(shape: &Shape, name: &str) -> Row {
    shape.row([("oid", schema_oid(name).into()), ("nspname", name.into()), ("nspowner", OWNER.into())])
}

fn class(shape: &Shape, o: &Object) -> Row {
    shape.row([
        ("oid", o.oid.into()),
        ("relname", o.name.as_str().into()),
        ("relnamespace", schema_oid(&o.schema).into()),
        ("relowner", OWNER.into()),
        ("relam", if o.kind == Kind::View { 0 } else { HEAP }.into()),
        ("relkind", o.letter().into()),
        ("relpersistence", if o.temporary { "t" } else { "p" }.into()),
        ("relnatts", (o.columns.len() as i64).into()),
        ("relhasindex", (!o.indexes.is_empty()).into()),
        ("relhasrules", matches!(o.kind, Kind::View | Kind::MaterializedView).into()),
        ("relreplident", if o.kind == Kind::View { "n" } else { "d" }.into()),
        ("relispopulated", true.into()),
        // Never counted.
        ("reltuples", Value::Float(-1.0)),
    ])
}

fn attribute(shape: &Shape, relation: u32, at: i64, column: &Described) -> Row {
    let of = shape::type_of(column.of);
    shape.row([
        ("attrelid", relation.into()),
        ("attname", column.name.as_str().into()),
        ("atttypid", column.of.into()),
        ("attstattarget", (-1).into()),
        ("attlen", of.map_or(-1, |of| of.length).into()),
        ("attnum", at.into()),
        ("attcacheoff", (-1).into()),
        ("atttypmod", column.modifier.into()),
        ("attndims", i64::from(of.is_some_and(|of| of.category == "A")).into()),
        ("attbyval", of.is_some_and(|of| of.by_value).into()),
        ("attalign", of.map_or("i", |of| of.align).into()),
        ("attstorage", of.map_or("x", |of| of.storage).into()),
        ("attnotnull", (!column.nullable).into()),
        ("atthasdef", (column.default.is_some() || column.computed.is_some()).into()),
        ("attgenerated", if column.computed.is_some() { "s" } else { "" }.into()),
        ("attislocal", true.into()),
        ("attcollation", of.map_or(0, |of| of.collation).into()),
    ])
}

fn type_row(shape: &Shape, of: &TypeLine) -> Row {
    shape.row([
        ("oid", of.oid.into()),
        ("typname", of.name.into()),
        ("typnamespace", PG_CATALOG.into()),
        ("typowner", OWNER.into()),
        ("typlen", of.length.into()),
        ("typbyval", of.by_value.into()),
        ("typtype", of.kind.into()),
        ("typcategory", of.category.into()),
        ("typispreferred", of.preferred.into()),
        ("typisdefined", true.into()),
        ("typdelim", of.delimiter.into()),
        ("typelem", of.item.into()),
        ("typarray", of.array.into()),
        ("typinput", of.input.1.into()),
        ("typoutput", of.output.1.into()),
        ("typalign", of.align.into()),
        ("typstorage", of.storage.into()),
        ("typtypmod", (-1).into()),
        ("typcollation", of.collation.into()),
    ])
}

fn database_oid(name: &str) -> u32 {
    if name == FIRST_DATABASE { DATABASE_OID } else { super::objects::oid("database", name) }
}

fn database(shape: &Shape, name: &str) -> Row {
    shape.row([
        ("oid", database_oid(name).into()),
        ("datname", name.into()),
        ("datdba", OWNER.into()),
        ("encoding", 6.into()),
        ("datlocprovider", "c".into()),
        ("datallowconn", true.into()),
        ("datconnlimit", (-1).into()),
        ("dattablespace", 1663.into()),
        ("datcollate", "C.UTF-8".into()),
        ("datctype", "C.UTF-8".into()),
    ])
}

fn defaults<'o>(shape: &'o Shape, o: &'o Object) -> impl Iterator<Item = Row> + 'o {
    o.expressions().map(move |(at, text)| {
        shape.row([
            ("oid", super::objects::oid("default", &format!("{}.{at}", o.full_name())).into()),
            ("adrelid", o.oid.into()),
            ("adnum", at.into()),
            ("adbin", text.into()),
        ])
    })
}

fn constraint(shape: &Shape, o: &Object, of: &TableIndex) -> Row {
    let columns = o.numbers(of.columns.iter().map(|column| &column.name));
    shape.row([
        ("oid", o.constraint_oid(of).into()),
        ("conname", of.name.as_str().into()),
        ("connamespace", schema_oid(&o.schema).into()),
        ("contype", if of.is_primary { "p" } else { "u" }.into()),
        ("convalidated", true.into()),
        ("conrelid", o.oid.into()),
        ("conindid", of.oid.into()),
        ("confupdtype", " ".into()),
        ("confdeltype", " ".into()),
        ("confmatchtype", " ".into()),
        ("conislocal", true.into()),
        ("connoinherit", true.into()),
        ("conkey", Value::list(columns.into_iter().map(Value::from))),
    ])
}

fn index(shape: &Shape, o: &Object, of: &TableIndex) -> Row {
    let numbers = o.numbers(of.columns.iter().map(|column| &column.name));
    // As bits: DESC, NULLS FIRST.
    let options = of.columns.iter().map(|c| Value::from(i64::from(c.descending) + 2 * i64::from(c.nulls_first)));
    let each = |value: u32| Value::list(numbers.iter().map(|_| value.into()));
    shape.row([
        ("indexrelid", of.oid.into()),
        ("indrelid", o.oid.into()),
        ("indnatts", (numbers.len() as i64).into()),
        ("indnkeyatts", (numbers.len() as i64).into()),
        ("indisunique", of.unique.is_some().into()),
        ("indnullsnotdistinct", of.unique.is_some_and(|unique| !unique.nulls_distinct).into()),
        ("indisprimary", of.is_primary.into()),
        ("indimmediate", true.into()),
        ("indisvalid", true.into()),
        ("indisready", true.into()),
        ("indislive", true.into()),
        ("indcollation", each(0)),
        ("indclass", each(OPERATOR_CLASS)),
        ("indoption", Value::list(options)),
        ("indkey", Value::list(numbers.into_iter().map(Value::from))),
    ])
}

fn comments<'o>(shape: &'o Shape, o: &'o Object) -> impl Iterator<Item = Row> + 'o {
    let own = o.comment.as_deref().map(|text| (0, text));
    let columns = (1_i64..).zip(&o.columns).filter_map(|(at, column)| Some((at, column.comment.as_deref()?)));
    let own = own.into_iter().chain(columns).map(|(at, text)| (o.oid, at, text));
    let indexes = o.indexes.iter().filter_map(|index| Some((index.oid, 0, index.comment.as_deref()?)));
    own.chain(indexes).map(move |(oid, at, text)| {
        shape.row([
            ("objoid", oid.into()),
            ("classoid", PG_CLASS.into()),
            ("objsubid", at.into()),
            ("description", text.into()),
        ])
    })
}
