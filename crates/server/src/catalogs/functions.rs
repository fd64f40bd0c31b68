//! Functions of the database: what clients ask it about itself.

use super::objects::{Object, TableIndex};
use super::{Catalogs, postgres, shape};
use crate::variables::SERVER_VERSION;
use eddyline_engine::catalog::Reference;
use eddyline_introspection::{Error, Signature, Type, Value};
use eddyline_keywords::quoted_name;

/// Names, what they take, what they return.
const FUNCTIONS: &[(&str, &[&str], &str)] = &[
    ("version", &[], "text"),
    ("current_database", &[], "name"),
    ("current_catalog", &[], "name"),
    ("current_schema", &[], "name"),
    ("current_schemas", &["bool"], "name[]"),
    ("current_user", &[], "name"),
    ("session_user", &[], "name"),
    ("current_role", &[], "name"),
    ("user", &[], "name"),
    ("current_setting", &["text", "bool"], "text"),
    ("set_config", &["text", "text", "bool"], "text"),
    ("pg_backend_pid", &[], "int4"),
    // What pools ask for when a connection comes back to them: it holds no such locks.
    ("pg_advisory_unlock_all", &[], "text"),
    ("pg_is_in_recovery", &[], "bool"),
    ("pg_my_temp_schema", &[], "oid"),
    ("pg_is_other_temp_schema", &["oid"], "bool"),
    ("inet_server_addr", &[], "text"),
    ("inet_server_port", &[], "int4"),
    ("inet_client_addr", &[], "text"),
    ("pg_get_userbyid", &["oid"], "name"),
    ("pg_encoding_to_char", &["int4"], "name"),
    ("pg_char_to_encoding", &["name"], "int4"),
    ("getdatabaseencoding", &[], "name"),
    ("format_type", &["oid", "int4"], "text"),
    ("pg_get_expr", &["text", "oid", "bool"], "text"),
    ("pg_get_viewdef", &["oid", "bool"], "text"),
    ("pg_get_indexdef", &["oid", "int4", "bool"], "text"),
    ("pg_get_constraintdef", &["oid", "bool"], "text"),
    ("pg_get_serial_sequence", &["text", "text"], "text"),
    ("pg_get_function_result", &["oid"], "text"),
    ("pg_get_function_arguments", &["oid"], "text"),
    ("pg_get_function_identity_arguments", &["oid"], "text"),
    ("pg_get_functiondef", &["oid"], "text"),
    ("pg_get_ruledef", &["oid", "bool"], "text"),
    ("pg_get_triggerdef", &["oid", "bool"], "text"),
    ("pg_get_partkeydef", &["oid"], "text"),
    ("pg_get_statisticsobjdef_columns", &["oid"], "text"),
    ("obj_description", &["oid", "name"], "text"),
    ("col_description", &["oid", "int4"], "text"),
    ("shobj_description", &["oid", "name"], "text"),
    ("pg_table_is_visible", &["oid"], "bool"),
    ("pg_type_is_visible", &["oid"], "bool"),
    ("pg_function_is_visible", &["oid"], "bool"),
    ("pg_collation_is_visible", &["oid"], "bool"),
    ("pg_operator_is_visible", &["oid"], "bool"),
    ("pg_opclass_is_visible", &["oid"], "bool"),
    ("pg_opfamily_is_visible", &["oid"], "bool"),
    ("pg_conversion_is_visible", &["oid"], "bool"),
    ("pg_ts_config_is_visible", &["oid"], "bool"),
    ("pg_ts_dict_is_visible", &["oid"], "bool"),
    ("pg_ts_parser_is_visible", &["oid"], "bool"),
    ("pg_ts_template_is_visible", &["oid"], "bool"),
    ("pg_statistics_obj_is_visible", &["oid"], "bool"),
    ("pg_relation_is_publishable", &["regclass"], "bool"),
    ("pg_relation_is_updatable", &["regclass", "bool"], "int4"),
    ("has_table_privilege", &["text", "text", "text"], "bool"),
    ("has_column_privilege", &["text", "text", "text", "text"], "bool"),
    ("has_any_column_privilege", &["text", "text", "text"], "bool"),
    ("has_schema_privilege", &["text", "text", "text"], "bool"),
    ("has_database_privilege", &["text", "text", "text"], "bool"),
    ("has_function_privilege", &["text", "text", "text"], "bool"),
    ("pg_has_role", &["text", "text", "text"], "bool"),
    ("pg_table_size", &["regclass"], "int8"),
    ("pg_relation_size", &["regclass", "text"], "int8"),
    ("pg_total_relation_size", &["regclass"], "int8"),
    ("pg_indexes_size", &["regclass"], "int8"),
    ("pg_stat_get_numscans", &["oid"], "int8"),
    ("pg_database_size", &["text"], "int8"),
    ("pg_size_pretty", &["int8"], "text"),
    ("pg_tablespace_location", &["oid"], "text"),
    ("to_regclass", &["text"], "regclass"),
    ("to_regtype", &["text"], "regtype"),
    ("to_regproc", &["text"], "regproc"),
    ("to_regnamespace", &["text"], "regnamespace"),
    ("to_regrole", &["text"], "regrole"),
];

/// The function of a name.
pub(super) fn signature(name: &str) -> Option<Signature> {
    let (_, takes, returns) = FUNCTIONS.iter().find(|(own, ..)| *own == name)?;
    let of = |name: &&str| Type::of_name(name).unwrap_or(Type::Text);
    Some(Signature { takes: takes.iter().map(of).collect(), returns: of(returns) })
}

impl Catalogs<'_> {
    /// Answers one of them.
    ///
    /// # Errors
    /// A variable that nobody knows, or that cannot have a value.
    pub(super) fn answered(&self, name: &str, arguments: &[Value]) -> Result<Value, Error> {
        let text = |at: usize| arguments.get(at).and_then(Value::as_text);
        let number = |at: usize| arguments.get(at).and_then(Value::as_int);
        let oid = |at: usize| number(at).and_then(|number| u32::try_from(number).ok());
        // Nothing is told of nothing; what stands for an object as a whole need not be given.
        if arguments.first().is_some_and(Value::is_null) && name != "format_type" {
            return Ok(Value::Null);
        }
        Ok(match name {
            "version" => format!("PostgreSQL {SERVER_VERSION} (eddyline {})", env!("CARGO_PKG_VERSION")).into(),
            "current_database" | "current_catalog" => self.database().into(),
            "current_schema" => self.session.borrow().current_schema().into(),
            "current_schemas" => {
                let path = self.session.borrow().search_path();
                let is_said = path.schemas().any(|schema| schema == "pg_catalog");
                let implicit = matches!(arguments.first(), Some(Value::Bool(true))) && !is_said;
                let all = implicit.then_some("pg_catalog").into_iter().chain(path.schemas());
                Value::list(all.map(Value::from))
            }
            "current_user" | "session_user" | "current_role" | "user" => self.user().into(),
            "current_setting" => self.setting(text(0).unwrap_or_default(), arguments.get(1))?,
            "set_config" => self.set_setting(text(0).unwrap_or_default(), text(1))?,
            "pg_advisory_unlock_all" => "".into(),
            "pg_backend_pid" => i64::from(std::process::id()).into(),
            "pg_is_in_recovery" | "pg_is_other_temp_schema" => false.into(),
            "pg_my_temp_schema" => 0.into(),
            "pg_get_userbyid" => self.role_name(oid(0)).into(),
            "pg_encoding_to_char" | "getdatabaseencoding" => "UTF8".into(),
            "pg_char_to_encoding" => if text(0).is_some_and(is_utf8) { 6 } else { -1 }.into(),
            "format_type" => match oid(0) {
                None | Some(0) => {
                    if oid(0).is_some() {
                        "-".into()
                    } else {
                        Value::Null
                    }
                }
                Some(of) => shape::shown_type(of, number(1).unwrap_or(-1)).into(),
            },
            "pg_get_expr" => arguments.first().cloned().unwrap_or(Value::Null),
            "pg_get_viewdef" => self.object(oid(0)).and_then(|o| o.definition.clone()).into(),
            "pg_get_indexdef" => {
                // To be read by people, it goes without the schema.
                let is_pretty = matches!(arguments.get(2), Some(Value::Bool(true)));
                let text = self.index_text(oid(0), number(1).unwrap_or(0));
                text.map(|(text, schema)| match is_pretty {
                    true => text.replacen(&format!(" ON {}.", quoted_name(&schema)), " ON ", 1),
                    false => text,
                })
                .into()
            }
            "pg_get_constraintdef" => {
                let all = self.objects().iter().flat_map(|o| o.constraints().map(move |index| (o, index)));
                let of = all.into_iter().find(|(o, index)| Some(o.constraint_oid(index)) == oid(0));
                of.map(|(_, index)| constraint_definition(index)).into()
            }
            "obj_description" => match self.index(oid(0)) {
                Some((_, index)) => index.comment.clone().into(),
                None => self.object(oid(0)).and_then(|o| o.comment.clone()).into(),
            },
            "col_description" => {
                let at = number(1).and_then(|at| usize::try_from(at - 1).ok());
                let column = self.object(oid(0)).and_then(|o| o.columns.get(at?));
                column.and_then(|column| column.comment.clone()).into()
            }
            "pg_table_is_visible" => self.is_visible(oid(0)).into(),
            "pg_relation_is_updatable" => {
                // INSERT, UPDATE and DELETE, as bits.
                if self.object(oid(0)).is_some_and(|o| o.letter() == "r") { 28 } else { 0 }.into()
            }
            name if name.ends_with("_is_visible") || name.ends_with("_privilege") => true.into(),
            "pg_relation_is_publishable" => false.into(),
            "pg_has_role" => true.into(),
            "pg_size_pretty" => number(0).map(size_pretty).into(),
            "to_regclass" => text(0).and_then(|name| self.class_named(name)).into(),
            "to_regtype" => text(0).and_then(type_named).into(),
            "to_regproc" => text(0).and_then(function_named).into(),
            "to_regnamespace" => text(0)
                .map(plain)
                .filter(|name| self.schemas().contains(name))
                .map(|name| postgres::schema_oid(&name))
                .into(),
            "to_regrole" => text(0).and_then(|name| self.role_named(&plain(name))).into(),
            "regclassout" => oid(0).and_then(|of| self.class_name(of)).into(),
            "regtypeout" => oid(0).filter(|of| *of != 0).map_or("-".to_owned(), |of| shape::shown_type(of, -1)).into(),
            "regprocout" => oid(0).and_then(function_name).into(),
            "regnamespaceout" => {
                self.schemas().into_iter().find(|name| Some(postgres::schema_oid(name)) == oid(0)).into()
            }
            "regroleout" => self.role_name(oid(0)).into(),
            // Nothing of the kind is here, or is measured.
            _ => Value::Null,
        })
    }

    fn object(&self, oid: Option<u32>) -> Option<&Object> {
        self.objects().iter().find(|o| Some(o.oid) == oid)
    }

    fn index(&self, oid: Option<u32>) -> Option<(&Object, &TableIndex)> {
        self.objects().iter().find_map(|o| Some((o, o.index(oid?)?)))
    }

    /// What would make an index, or one of its columns, and the schema of its table.
    fn index_text(&self, oid: Option<u32>, column: i64) -> Option<(String, String)> {
        let (of, index) = self.index(oid)?;
        let text = match usize::try_from(column) {
            Ok(0) | Err(_) => Some(index_definition(of, index)),
            Ok(at) => index.columns.get(at - 1).map(|column| quoted_name(&column.name).into_owned()),
        };
        Some((text?, of.schema.clone()))
    }

    /// Is a relation found without its schema?
    fn is_visible(&self, oid: Option<u32>) -> bool {
        let is_it = |o: &&Object| Some(o.oid) == oid || oid.is_some_and(|oid| o.index(oid).is_some());
        match self.objects().iter().find(is_it) {
            Some(own) => own.is_visible,
            None => shape::shapes().iter().all(|own| Some(own.oid) != oid || own.schema != "information_schema"),
        }
    }

    fn class_named(&self, name: &str) -> Option<u32> {
        let Reference { database, schema, object: name } = Reference::read(name, true)?;
        if database.is_some_and(|database| database != self.database()) {
            return None;
        }
        let is_meant = |o: &&Object| schema.as_ref().map_or(o.is_visible, |schema| o.schema == *schema);
        let all = || self.objects().iter().filter(is_meant);
        let own = || all().find(|o| o.name == name).map(|o| o.oid);
        let index = || all().flat_map(|o| &o.indexes).find(|index| index.name == name).map(|index| index.oid);
        let system = shape::find(schema.as_deref().unwrap_or("pg_catalog"), &name).map(|own| own.oid);
        system.or_else(own).or_else(index)
    }

    fn class_name(&self, oid: u32) -> Option<String> {
        if oid == 0 {
            return Some("-".to_owned());
        }
        let shown = |o: &Object, name: &str| match o.is_visible {
            true => quoted_name(name).into_owned(),
            false => format!("{}.{}", quoted_name(&o.schema), quoted_name(name)),
        };
        let own = self.objects().iter().find(|o| o.oid == oid).map(|o| shown(o, &o.name));
        let index = || self.index(Some(oid)).map(|(o, index)| shown(o, &index.name));
        let system = || {
            let of = shape::shapes().iter().find(|own| own.oid == oid)?;
            Some(if of.schema == "pg_catalog" { of.name.to_owned() } else { format!("{}.{}", of.schema, of.name) })
        };
        own.or_else(index).or_else(system)
    }
}

/// What would make the constraint that an index stands for.
fn constraint_definition(index: &TableIndex) -> String {
    let kind = if index.is_primary { "PRIMARY KEY" } else { "UNIQUE" };
    let columns: Vec<String> = index.columns.iter().map(|column| column.name.clone()).collect();
    format!("{kind}{} ({})", nulls(index), names(&columns))
}

fn nulls(index: &TableIndex) -> &'static str {
    if index.unique.is_some_and(|unique| !unique.nulls_distinct) { " NULLS NOT DISTINCT" } else { "" }
}

/// What would make an index, that of a key among them.
pub(super) fn index_definition(o: &Object, index: &TableIndex) -> String {
    let columns = index.columns.iter().map(|c| format!("{}{}", quoted_name(&c.name), c.direction()));
    let (name, table, columns) =
        (quoted_name(&index.name), quoted_name(&o.name), columns.collect::<Vec<_>>().join(", "));
    let unique = if index.unique.is_some() { "UNIQUE " } else { "" };
    let nulls = nulls(index);
    format!("CREATE {unique}INDEX {name} ON {}.{table} USING btree ({columns}){nulls}", quoted_name(&o.schema))
}

fn names(names: &[String]) -> String {
    names.iter().map(|name| quoted_name(name)).collect::<Vec<_>>().join(", ")
}

/// Bytes in the unit that PostgreSQL writes them in: below ten of one, those of the one before.
fn size_pretty(bytes: i64) -> String {
    const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    let (mut halves, mut unit) = (bytes, 0);
    if bytes.unsigned_abs() < 10 * 1024 {
        return format!("{bytes} bytes");
    }
    // Half units, so that they can be rounded.
    halves /= 512;
    unit += 1;
    while halves.unsigned_abs() >= 20 * 1024 - 1 && unit + 1 < UNITS.len() {
        halves /= 1024;
        unit += 1;
    }
    format!("{} {}", (halves + halves.signum()) / 2, UNITS[unit])
}

/// A name without its quotes, as Postgres folds it.
fn plain(name: &str) -> String {
    let (mut out, mut within) = (String::new(), false);
    for c in name.trim().chars() {
        match c {
            '"' => within = !within,
            c if within => out.push(c),
            c => out.extend(c.to_lowercase()),
        }
    }
    out
}

fn is_utf8(name: &str) -> bool {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().eq_ignore_ascii_case("utf8")
}

fn type_named(name: &str) -> Option<u32> {
    let whole = plain(name);
    let name = whole.strip_prefix("pg_catalog.").unwrap_or(&whole);
    if let Some(item) = name.strip_suffix("[]") {
        let of = type_named(item)?;
        return shape::type_of(of).map(|of| of.array).filter(|array| *array != 0);
    }
    let by_name = shape::types().iter().find(|of| of.name == name || of.shown == name);
    match name {
        "int" => Some(23),
        "float" => Some(701),
        "decimal" => Some(1700),
        // Quoted, it is of one byte; without quotes, one with a length.
        "char" => Some(18),
        _ => by_name.map(|of| of.oid),
    }
}

fn function_named(name: &str) -> Option<u32> {
    let whole = plain(name);
    let name = whole.strip_prefix("pg_catalog.").unwrap_or(&whole);
    let both = shape::types().iter().flat_map(|of| [of.input, of.output]);
    both.into_iter().find(|(own, _)| *own == name).map(|(_, oid)| oid)
}

fn function_name(oid: u32) -> Option<String> {
    let both = shape::types().iter().flat_map(|of| [of.input, of.output]);
    let found = both.into_iter().find(|(_, own)| *own == oid).map(|(name, _)| name.to_owned());
    found.or_else(|| (oid == 0).then(|| "-".to_owned()))
}
