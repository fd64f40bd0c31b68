//! Where an entry of stored state goes: to which operator, in which form, on which shard.

use crate::alter::Alteration;
use eddyline_changes::{KeyGroup, KeyGroups};
use eddyline_operators::{Migration, OperatorError};
use eddyline_state::{StateError, TableId};
use std::collections::BTreeMap;

/// Operator, table, key group: see the page of `eddyline_state`.
const HEAD_BYTES: usize = 12;

/// Shard, key and value of an entry.
pub(crate) type Routed = (usize, Vec<u8>, Vec<u8>);

/// Knows where entries go.
pub(crate) struct Router<'a> {
    altered: &'a Alteration,
    migrations: BTreeMap<u64, Migration>,
    groups: KeyGroups,
}

impl<'a> Router<'a> {
    /// # Errors
    /// A migration that cannot be made.
    pub(crate) fn new(altered: &'a Alteration, groups: KeyGroups) -> Result<Self, StateError> {
        let mut migrations = BTreeMap::new();
        for (operator, to) in &altered.moves {
            if let Some(spec) = &to.migration {
                let migration = Migration::new(spec.as_ref().clone(), groups).map_err(misfit)?;
                migrations.insert(*operator, migration);
            }
        }
        Ok(Self { altered, migrations, groups })
    }

    /// The shard, key and value of an entry; `None`: nobody has it any more.
    ///
    /// # Errors
    /// It is no entry of the state of a job.
    pub(crate) fn route(&mut self, key: &[u8], value: &[u8]) -> Result<Option<Routed>, StateError> {
        let no_group = || StateError::Corrupt {
            table: "all".into(),
            message: format!("a key of {} bytes belongs to no key group", key.len()),
        };
        let (head, rest) = key.split_first_chunk::<HEAD_BYTES>().ok_or_else(no_group)?;
        let [a, b, c, d, e, f, g, h, t, u, v, w] = *head;
        let operator = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let (table, group) = (TableId::from_be_bytes([t, u]), KeyGroup::from_be_bytes([v, w]));
        if group >= self.groups.groups() {
            return Err(no_group());
        }
        let Some(to) = self.altered.moves.get(&operator) else { return Ok(None) };
        let Some(migration) = self.migrations.get_mut(&operator) else {
            let mut key = key.to_vec();
            key[..8].copy_from_slice(&to.to.to_be_bytes());
            return Ok(Some((self.shard(group), key, value.to_vec())));
        };
        let (table, group, rest, value) = migration.entry(table, group, rest, value).map_err(misfit)?;
        let mut key = Vec::with_capacity(HEAD_BYTES + rest.len());
        key.extend_from_slice(&to.to.to_be_bytes());
        key.extend_from_slice(&table.to_be_bytes());
        key.extend_from_slice(&group.to_be_bytes());
        key.extend_from_slice(&rest);
        Ok(Some((self.shard(group), key, value)))
    }

    fn shard(&self, group: KeyGroup) -> usize {
        (0..self.groups.shards()).find(|s| self.groups.range_of(*s).contains(&group)).unwrap_or(0)
    }
}

fn misfit(error: OperatorError) -> StateError {
    match error {
        OperatorError::State(error) => error,
        other => StateError::Corrupt { table: "groups".into(), message: other.to_string() },
    }
}
