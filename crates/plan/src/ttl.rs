use std::fmt;

/// For how long an operator keeps what it knows of rows that are not touched, by the job's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeToLive {
    /// Milliseconds, more than 0.
    pub ms: u64,
    /// Who says so.
    pub origin: TtlOrigin,
}

/// Where a time to live was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TtlOrigin {
    /// `table.exec.state.ttl`.
    Setting,
    /// `STATE_TTL` in the query.
    Hint,
}

impl TimeToLive {
    /// What the session says of everything.
    pub fn of_setting(ms: u64) -> Self {
        Self { ms, origin: TtlOrigin::Setting }
    }

    /// What a query says of one of its inputs.
    pub fn of_hint(ms: u64) -> Self {
        Self { ms, origin: TtlOrigin::Hint }
    }
}

impl fmt::Display for TtlOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TtlOrigin::Setting => "table.exec.state.ttl",
            TtlOrigin::Hint => "STATE_TTL",
        })
    }
}

/// In the largest unit that needs no fraction: `3 d`, `90 min`.
impl fmt::Display for TimeToLive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
        match units.iter().find(|(ms, _)| self.ms > 0 && self.ms.is_multiple_of(*ms)) {
            Some((ms, unit)) => write!(f, "{} {unit}", self.ms / ms),
            None => write!(f, "{} ms", self.ms),
        }
    }
}
