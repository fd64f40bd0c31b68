//! `eddyline bench`.

use crate::args::BenchArgs;
use crate::exit::Exit;

/// Runs a suite.
///
/// # Errors
/// The exit code, when not all went well; what happened has been told.
pub(crate) fn bench(args: &BenchArgs) -> Result<Exit, Exit> {
    let _ = args;
    Err(Exit::Usage)
}
