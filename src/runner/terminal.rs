//! Lines for the user. Nothing is left to tell when nobody reads them any more (`harmony list |
//! head`), so that is no error, and above all no panic; the exit code still speaks.

use std::io::Write;

/// Writes a line to standard output.
pub fn say(text: &str) {
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// Writes a line to standard error.
pub fn warn(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}
