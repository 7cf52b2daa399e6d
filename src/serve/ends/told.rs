//! What one end tells the process of the other one, and nobody has to.

use std::time::Duration;

use crate::BufferName;
use crate::rpc::message::StringMap;
use crate::serve::failure::Failure;

/// The pause after each frame, in milliseconds.
const PACE: &str = "reader.pace_ms";

/// The first and the last sequence number of frames that hold the data of their numbers.
const FIRST_FILLING: &str = "writer.first_filling";
const LAST_FILLING: &str = "writer.last_filling";

/// What stands before the name of a buffer that a step has broken.
const BROKEN: &str = "broken.";

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
    Ok(told(context, PACE)?.map(Duration::from_millis))
}

/// Tells which frames have filled a buffer: each holds the data of its sequence number, but in other
/// languages that of another one.
pub fn tell_filling(context: &mut StringMap, first: u64, last: u64) {
    context.insert(FIRST_FILLING.into(), first.to_string());
    context.insert(LAST_FILLING.into(), last.to_string());
}

/// Whether the frame with this sequence number was told to be one of them.
///
/// # Errors
///
/// If something else was told.
pub fn is_filling(context: &StringMap, sequence: u64) -> Result<bool, Failure> {
    let (first, last) = (told(context, FIRST_FILLING)?, told(context, LAST_FILLING)?);
    let frames = first.zip(last).map(|(first, last)| first..=last);
    Ok(frames.is_some_and(|frames| frames.contains(&sequence)))
}

/// Tells that a step has broken a buffer on purpose.
pub fn tell_broken(context: &mut StringMap, buffer: &BufferName) {
    context.insert(format!("{BROKEN}{buffer}"), String::new());
}

/// The names of the buffers that steps are told to have broken.
pub fn told_broken(context: &StringMap) -> impl Iterator<Item = &str> {
    context.keys().filter_map(|key| key.strip_prefix(BROKEN))
}

fn told(context: &StringMap, key: &str) -> Result<Option<u64>, Failure> {
    let parsed = context.get(key).map(|told| told.parse()).transpose();
    parsed.map_err(|error| Failure::from(error).while_doing(key))
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
        assert_eq!(is_filling(&context, 7), Ok(false));
        tell_filling(&mut context, 7, 8);
        let filling = [6, 7, 8, 9].map(|sequence| is_filling(&context, sequence));
        assert_eq!(filling, [Ok(false), Ok(true), Ok(true), Ok(false)]);
        assert_eq!(told_broken(&context).count(), 0);
        let buffers = ["a.b", "c"].map(|name| BufferName::new(name).unwrap());
        for buffer in &buffers {
            tell_broken(&mut context, buffer);
        }
        assert_eq!(told_broken(&context).collect::<Vec<_>>(), ["a.b", "c"]);
    }
}
