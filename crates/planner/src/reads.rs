//! Which names of a catalog a view reads.

use crate::deep::with_room;
use crate::parse::parse_query;
use crate::rename::{idents, reference, table_argument};
use crate::statement::{Statement, StatementKind};
use eddyline_catalog::{Catalog, Dialect, Name, Object, Reference, SearchPath, View};
use sqlparser::ast::{Expr, ObjectName, Visit, Visitor};
use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

/// So many texts are remembered at most.
const REMEMBERED_MAX: usize = 4096;

/// The tables and views that a view reads, also through other views. A query of WITH that has the name of one hides it, and is taken for
/// it here: rather one too many than one too few.
pub fn names_read(view: &View, catalog: &Catalog) -> BTreeSet<Name> {
    NamesRead::default().of(view, catalog)
}

/// What texts of views name, read once for all who ask: every statement that changes what names stand for asks it of all views.
#[derive(Debug, Default)]
pub struct NamesRead(Mutex<HashMap<String, Named>>);

/// What a text names, in the dialect in which it was read.
type Named = (Dialect, Arc<[Reference]>);

impl NamesRead {
    /// As [`names_read`].
    pub fn of(&self, view: &View, catalog: &Catalog) -> BTreeSet<Name> {
        let (mut found, stored) = (BTreeSet::new(), SearchPath::default());
        let mut rest = vec![(view.sql.clone(), view.dialect)];
        while let Some((sql, dialect)) = rest.pop() {
            for name in self.named(sql, dialect).iter() {
                let Ok(name) = catalog.resolve(name, &stored) else { continue };
                let Ok(object) = catalog.object(&name) else { continue };
                if let (true, Object::View(view)) = (found.insert(name), object) {
                    rest.push((view.sql.clone(), view.dialect));
                }
            }
        }
        found
    }

    /// What a query names. What does not parse any more names nothing.
    fn named(&self, sql: String, dialect: Dialect) -> Arc<[Reference]> {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, names)) = remembered.get(&sql).filter(|(of, _)| *of == dialect) {
            return names.clone();
        }
        let mut names = Names::default();
        if let Ok(query) = parse_query(&sql, dialect) {
            let _ = with_room(|| query.visit(&mut names));
        }
        let names: Arc<[Reference]> = names.0.into();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(sql, (dialect, names.clone()));
        names
    }
}

/// The tables and views that a statement names in what it reads, as they are written; names of its queries of WITH may be among them.
pub fn relations_named(statement: &Statement) -> Vec<Reference> {
    let mut names = Names::default();
    let _ = with_room(|| match &statement.kind {
        StatementKind::Select(query) | StatementKind::CreateTable { query: Some(query), .. } => query.visit(&mut names),
        StatementKind::Insert(insert) => insert.query.visit(&mut names),
        StatementKind::Update(update) => {
            update.queries().map_or(ControlFlow::Continue(()), |with| with.visit(&mut names))?;
            update.others().visit(&mut names)?;
            update.expressions().try_for_each(|e| e.visit(&mut names))
        }
        StatementKind::Delete(delete) => {
            delete.queries().map_or(ControlFlow::Continue(()), |with| with.visit(&mut names))?;
            delete.others().visit(&mut names)?;
            delete.expressions().try_for_each(|e| e.visit(&mut names))
        }
        StatementKind::Explain { statement, .. } => {
            names.0.extend(relations_named(statement));
            ControlFlow::Continue(())
        }
        _ => ControlFlow::Continue(()),
    });
    names.0
}

#[derive(Default)]
struct Names(Vec<Reference>);

impl Visitor for Names {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        self.0.push(reference(&idents(relation)));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            self.0.extend(table_argument(function).map(reference));
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eddyline_catalog::Table;

    fn view(name: &str, sql: &str) -> View {
        View {
            name: name.into(),
            columns: Vec::new(),
            sql: sql.into(),
            dialect: Dialect::Flink,
            comment: None,
            temporary: false,
        }
    }

    fn table(name: &str) -> Object {
        Object::Table(Arc::new(Table {
            name: name.into(),
            columns: Vec::new(),
            primary_key: Vec::new(),
            watermark: None,
            options: Default::default(),
            comment: None,
            temporary: false,
            is_source: false,
            dialect: Dialect::Flink,
        }))
    }

    #[test]
    fn names_are_found_wherever_they_stand() {
        let mut catalog = Catalog::new();
        ["a", "b", "c", "d", "unread"].iter().for_each(|name| catalog.put(table(name)));
        catalog.put(Object::View(Arc::new(view("v", "SELECT * FROM a WHERE k IN (SELECT k FROM b)"))));
        let read =
            |sql: &str| names_read(&view("m", sql), &catalog).iter().map(Name::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(read("SELECT 1"), "");
        assert_eq!(read("SELECT * FROM v JOIN default_catalog.default_database.c ON v.k = c.k"), "a b c v");
        assert_eq!(read("WITH w AS (SELECT k FROM d) SELECT (SELECT MAX(k) FROM c) FROM w"), "c d");
        let windows = "SELECT * FROM TABLE(TUMBLE(TABLE c, DESCRIPTOR(ts), INTERVAL '1' HOUR)) UNION ALL SELECT * FROM HOP(d, ts, INTERVAL '1' HOUR, INTERVAL '2' HOUR)";
        assert!(read(windows).contains('c'));
        assert_eq!(read("not SQL"), "");
    }
}
