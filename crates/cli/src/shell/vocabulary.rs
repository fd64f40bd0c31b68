//! The names that completion knows, as of the last statement.

use eddyline_engine::Session;
use eddyline_engine::statement::Show;
use std::collections::BTreeMap;

/// Names of a session.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    /// Tables and views.
    pub(crate) relations: BTreeMap<String, Relation>,
    /// Functions, in capitals.
    pub(crate) functions: Vec<String>,
    /// Connectors.
    pub(crate) connectors: Vec<String>,
    /// The catalog's version that this was read from.
    version: Option<u64>,
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
        let version = session.catalog().version();
        if self.version.replace(version) == Some(version) {
            return;
        }
        let mut known = std::mem::take(&mut self.relations);
        for name in session.relations(true, true).text_lines() {
            let Ok(definition) = session.definition(name) else { continue };
            let relation = match known.remove(name) {
                Some(same) if same.definition == definition => same,
                // A view that no longer holds has no columns.
                _ => Relation { definition, columns: session.describe(name).map_or(Vec::new(), |l| lines(&l)) },
            };
            self.relations.insert(name.to_owned(), relation);
        }
        if self.functions.is_empty() {
            self.functions = lines(&session.functions_like(None)).iter().map(|name| name.to_uppercase()).collect();
            self.connectors = session.show(&Show::Connectors).map_or(Vec::new(), |l| lines(&l));
        }
    }
}

fn lines(listing: &eddyline_engine::Listing) -> Vec<String> {
    listing.text_lines().map(str::to_owned).collect()
}
