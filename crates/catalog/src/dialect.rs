/// Whose meaning is given to a text that two SQL families read differently.
///
/// | | Flink | Postgres |
/// |---|---|---|
/// | names without quotes | as they are written | in lower case |
/// | NULLs in an order | smallest: first, unless DESC | greatest: last, unless DESC |
/// | AVG of integers | the integer type, cut | DECIMAL(38, 16) |
/// | SUM of BIGINT | BIGINT | DECIMAL(38, 0) |
/// | a result column without a name | `EXPR$0` | the name of its function, type or `?column?` |
/// | DECIMAL and NUMERIC without digits | DECIMAL(10, 0) | DECIMAL(38, 10) |
/// | FLOAT | 4 bytes | 8 bytes |
/// | TIME | TIME(0) | TIME(6) |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Flink SQL.
    #[default]
    Flink,
    /// PostgreSQL.
    Postgres,
}

impl Dialect {
    /// Its name in the setting `sql.dialect`.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Flink => "flink",
            Dialect::Postgres => "postgres",
        }
    }

    /// The dialect of a name in any case; Flink calls its own `default`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "flink" | "default" => Some(Dialect::Flink),
            "postgres" => Some(Dialect::Postgres),
            _ => None,
        }
    }
}
