//! What a reader tells the process of its writer, and nobody has to.

use std::time::Duration;

use crate::rpc::message::StringMap;
use crate::serve::failure::Failure;

/// The pause after each frame, in milliseconds.
const PACE: &str = "reader.pace_ms";

/// Tells the pause that a reader makes after each frame.
pub fn tell_pace(context: &mut StringMap, pace: Duration) {
    context.insert(PACE.into(), pace.as_millis().to_string());
}

/// The pause that a reader makes after each frame, if it has told that.
///
/// # Errors
///
/// If it has told something else.
pub fn told_pace(context: &StringMap) -> Result<Option<Duration>, Failure> {
    let parsed = context.get(PACE).map(|told| told.parse()).transpose();
    let told = parsed.map_err(|error| Failure::from(error).while_doing(PACE))?;
    Ok(told.map(Duration::from_millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        let mut context = StringMap::new();
        assert_eq!(told_pace(&context), Ok(None));
        tell_pace(&mut context, Duration::from_millis(50));
        assert_eq!(told_pace(&context), Ok(Some(Duration::from_millis(50))));
        context.insert(PACE.into(), "slow".into());
        assert!(told_pace(&context).is_err());
    }
}
