//! The hint STATE_TTL: a time to live for one input of an operator.

use super::Builder;
use super::stream::{Facts, Stream};
use crate::SqlError;
use crate::bind::state_ttl::StateTtl;
use eddyline_plan::{Input, OperatorSpec, TimeToLive};

const CAN_FORGET: &str = "leave the hint out; GROUP BY, DISTINCT, joins, INTERSECT, EXCEPT, and the first rows of partitions and OVER with PARTITION BY can forget";

impl Builder<'_, '_> {
    /// The rows of an input that a hint names.
    pub(super) fn hinted(&mut self, ttl: &StateTtl) -> Result<Stream, SqlError> {
        let mut stream = self.stream(ttl.input())?;
        self.hints.entry(ttl.hint().clone()).or_default();
        stream.facts.ttl = Some(ttl.hint().clone());
        Ok(stream)
    }

    /// An input of an operator that keeps rows of it, with the time that a hint gives it.
    ///
    /// # Errors
    /// The operator cannot forget.
    pub(super) fn kept(&mut self, spec: &OperatorSpec, input: Input, facts: &Facts) -> Result<Input, SqlError> {
        let Some(hint) = &facts.ttl else { return Ok(input) };
        if !spec.can_forget() {
            let message = format!("STATE_TTL of {}: this {} cannot forget", hint.name, spec.name());
            return Err(SqlError::new(SqlError::UNSUPPORTED, message).with_hint(CAN_FORGET));
        }
        self.hints.insert(hint.clone(), true);
        Ok(Input { ttl: Some(TimeToLive::of_hint(hint.ms)), ..input })
    }

    /// Refuses hints that no operator has followed.
    pub(crate) fn check_hints(&self) -> Result<(), SqlError> {
        let Some((hint, _)) = self.hints.iter().find(|(_, is_used)| !**is_used) else { return Ok(()) };
        Err(SqlError::new(SqlError::INVALID, format!("STATE_TTL of {} has no effect", hint.name))
            .with_detail(format!("no operator keeps rows of {} until a time to live is over", hint.name))
            .with_hint(
                "give it to the SELECT that groups, joins or numbers the rows; windows and conditions on the time now have bounds of their own",
            ))
    }
}
