//! The names that completion knows, as of the last statement.

use eddyline_engine::catalog::{Name, Reference, SearchPath};
use eddyline_engine::statement::Show;
use eddyline_engine::{Dialect, Session};
use std::collections::BTreeMap;

/// Names of a session.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    /// Tables and views that are found without a schema.
    pub(crate) relations: BTreeMap<String, Relation>,
    /// All schemas, and what is in each.
    pub(crate) schemas: BTreeMap<String, BTreeMap<String, Relation>>,
    /// Functions, in capitals.
    pub(crate) functions: Vec<String>,
    /// What is typed is in this dialect.
    pub(crate) dialect: Dialect,
    /// Connectors.
    pub(crate) connectors: Vec<String>,
    /// The catalog's version that this was read from, and where names were looked for.
    version: Option<(u64, SearchPath)>,
}

/// A table or view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relation {
    /// What made it.
    pub(crate) definition: String,
    /// Its columns.
    pub(crate) columns: Vec<String>,
}

impl Vocabulary {
    /// Learns what is new since the last time.
    pub(crate) fn learn(&mut self, session: &mut Session) {
        self.dialect = session.settings().dialect();
        let version = (session.catalog().version(), session.search_path());
        if self.version.as_ref() == Some(&version) {
            return;
        }
        self.version = Some(version);
        let mut known = std::mem::take(&mut self.schemas);
        self.schemas = session.catalog().schemas().into_iter().map(|name| (name.to_owned(), BTreeMap::new())).collect();
        let names: Vec<Name> = session.catalog().objects().map(|(name, _)| name.clone()).collect();
        for name in names {
            let reference = Reference::from(&name);
            let Ok(definition) = session.definition(&reference) else { continue };
            let relation = match known.get_mut(name.schema()).and_then(|known| known.remove(name.object())) {
                Some(same) if same.definition == definition => same,
                // A view that no longer holds has no columns.
                _ => Relation { definition, columns: session.describe(&reference).map_or(Vec::new(), |l| lines(&l)) },
            };
            self.schemas.entry(name.schema().to_owned()).or_default().insert(name.object().to_owned(), relation);
        }
        let visible = session.visible().map(|object| object.name());
        let of = |name: &Name| self.schemas.get(name.schema())?.get(name.object()).cloned();
        self.relations = visible.filter_map(|name| Some((name.object().to_owned(), of(name)?))).collect();
        if self.functions.is_empty() {
            self.functions = lines(&session.functions_like(None)).iter().map(|name| name.to_uppercase()).collect();
            self.connectors = session.show(&Show::Connectors).map_or(Vec::new(), |l| lines(&l));
        }
    }
}

fn lines(listing: &eddyline_engine::Listing) -> Vec<String> {
    listing.text_lines().map(str::to_owned).collect()
}
