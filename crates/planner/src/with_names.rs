//! Which names stand for queries of WITH, at each place of a query that is visited.

use sqlparser::ast::Query;

/// A query, the names of its WITH, and how many of these can be read where the visitor is.
struct Scope {
    named: Vec<(*const Query, String)>,
    visible: usize,
}

/// The names of WITH in the queries around a place. It is told of every query that is visited, before and after what is in it.
#[derive(Default)]
pub(crate) struct WithNames {
    scopes: Vec<Scope>,
}

impl WithNames {
    /// A query begins. Returns the names of its WITH.
    pub(crate) fn enter(&mut self, query: &Query) -> impl Iterator<Item = &str> {
        if let Some((scope, at)) = self.place_in_with(query) {
            scope.visible = at;
        }
        let all = query.with.iter().flat_map(|with| &with.cte_tables);
        let named = all.map(|part| (&raw const *part.query, part.alias.name.value.clone())).collect();
        self.scopes.push(Scope { named, visible: 0 });
        self.scopes.last().into_iter().flat_map(|scope| scope.named.iter().map(|(_, name)| name.as_str()))
    }

    /// It ends.
    pub(crate) fn leave(&mut self, query: &Query) {
        self.scopes.pop();
        if let Some((scope, at)) = self.place_in_with(query) {
            scope.visible = at + 1;
        }
    }

    /// Does the name stand for a query of WITH here?
    pub(crate) fn has(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope.named[..scope.visible].iter().any(|(_, own)| own == name))
    }

    /// The query, where it is one of WITH of the query around it.
    fn place_in_with(&mut self, query: &Query) -> Option<(&mut Scope, usize)> {
        let scope = self.scopes.last_mut()?;
        let at = scope.named.iter().position(|(own, _)| std::ptr::eq(*own, query))?;
        Some((scope, at))
    }
}
