//! Tables and views under other names, and in the places of others.

use super::{Database, Name, SqlError, lock};
use std::collections::BTreeMap;

impl Database {
    /// Calls tables and views by other names: by the old name the new one. What is not kept has no rows to be called anything.
    pub(crate) fn rename(&self, names: &BTreeMap<Name, Name>) {
        let is_kept = |name: &&Name| lock(&self.parts).contains_key(*name);
        let olds: Vec<&Name> = names.keys().filter(is_kept).collect();
        // Whoever renames has the names to himself: none of them goes meanwhile.
        let _ = self.with(&olds, |states| -> Result<(), SqlError> {
            states.iter_mut().for_each(|state| state.rename(names));
            let mut parts = lock(&self.parts);
            let moved: Vec<_> =
                olds.iter().filter_map(|old| Some((names[*old].clone(), parts.remove(*old)?))).collect();
            parts.extend(moved);
            Ok(())
        });
    }

    /// Has views take the places of others, which are forgotten: by the name that each has, the name that it takes. Whoever reads sees the
    /// old ones or the new ones.
    pub(crate) fn take_places(&self, names: &BTreeMap<Name, Name>) {
        if names.is_empty() {
            return;
        }
        let is_kept = |name: &&Name| lock(&self.parts).contains_key(*name);
        let all: Vec<&Name> = names.iter().flat_map(|(now, place)| [now, place]).filter(is_kept).collect();
        // Whoever replaces has the names to himself: none of them goes meanwhile.
        let _ = self.with(&all, |states| -> Result<(), SqlError> {
            for state in states.iter_mut() {
                names.values().for_each(|place| state.forget(place));
                state.rename(names);
            }
            let mut parts = lock(&self.parts);
            names.values().for_each(|place| drop(parts.remove(place)));
            let moved: Vec<_> =
                names.iter().filter_map(|(now, place)| Some((place.clone(), parts.remove(now)?))).collect();
            parts.extend(moved);
            Ok(())
        });
    }
}
