//! `harmony inspect`: buffers on this machine, as anybody can see them.

use std::io;

use serde_json::{Value, json};

use super::exit::{Exit, Refusal};
use super::nearest::did_you_mean;
use super::terminal::say;
use crate::BufferName;
use crate::channel::view::{ControlBlock, Lock, Machine, SegmentView, View, living_command};

/// How many names are offered in the place of one that does not exist.
const OFFERED: usize = 10;

/// The version of what `--json` prints: raised when the meaning of a key changes.
const VERSION: u32 = 1;

/// What is to be looked at: one buffer, or all.
#[derive(Debug)]
pub struct Target(Option<BufferName>);

impl Target {
    /// The buffer that the user has named, or all.
    ///
    /// # Errors
    ///
    /// A name that no buffer can have, or has.
    pub fn new(asked: Option<&str>) -> Result<Target, Refusal> {
        let Some(asked) = asked else {
            return Ok(Target(None));
        };
        let name = BufferName::new(asked).map_err(Refusal::usage)?;
        if !View::of(name.clone()).is_nothing() {
            return Ok(Target(Some(name)));
        }
        let machine = Machine::look().map_err(Refusal::usage)?;
        Err(Refusal(Exit::Nothing, nothing_named(asked, &machine)))
    }

    /// The buffers that are meant and there now, by name.
    ///
    /// # Errors
    ///
    /// When the machine's folders cannot be read.
    pub(super) fn names(&self) -> Result<Vec<BufferName>, Refusal> {
        match &self.0 {
            Some(name) => Ok(vec![name.clone()]),
            None => {
                let machine = Machine::look().map_err(Refusal::usage)?;
                Ok(machine.buffers.into_iter().collect())
            }
        }
    }

    fn views(&self) -> Result<Vec<View>, Refusal> {
        Ok(self.names()?.into_iter().map(View::of).collect())
    }
}

fn nothing_named(asked: &str, machine: &Machine) -> String {
    let names = || machine.buffers.iter().map(BufferName::as_str);
    let mut near: Vec<&str> = names().filter(|name| name.contains(asked)).collect();
    let hint = match near.is_empty() {
        true => did_you_mean(asked, names()),
        false => {
            near.truncate(OFFERED);
            format!("; did you mean {}?", near.join(", "))
        }
    };
    let count = machine.buffers.len();
    format!(
        "there is no buffer `{asked}`{hint} (of {count} on this machine; `harmony inspect` shows all)"
    )
}

/// Prints what is seen at this moment.
///
/// # Errors
///
/// When the machine's folders cannot be read.
pub fn inspect(target: &Target, as_json: bool) -> Result<Exit, Refusal> {
    let views = target.views()?;
    if as_json {
        let buffers: Vec<Value> = views.iter().map(value).collect();
        say(&format!(
            "{:#}",
            json!({"version": VERSION, "buffers": buffers})
        ));
    } else if views.is_empty() {
        say(NO_BUFFER);
    } else {
        let texts: Vec<String> = views.iter().map(text).collect();
        say(&texts.join("\n"));
    }
    Ok(Exit::Green)
}

/// What is said where there is nothing to see.
pub(super) const NO_BUFFER: &str = "no buffer on this machine";

/// A process that a control block names.
pub(super) fn process(pid: u64) -> String {
    match living_command(pid) {
        Some(command) => format!("pid {pid} ({command})"),
        None => format!("pid {pid}, dead"),
    }
}

/// A buffer in several lines, the last one ended.
pub(super) fn text(view: &View) -> String {
    let mut lines = vec![view.name.to_string()];
    let mut line = |key: &str, text: String| lines.push(format!("  {key:10} {text}"));
    match &view.segment {
        Ok(Some(segment)) => {
            for (key, text) in segment_lines(segment) {
                line(key, text);
            }
        }
        Ok(None) => line("segment", "none".to_owned()),
        Err(error) => line("segment", unreadable(error)),
    }
    let posts = |value: &io::Result<Option<u32>>| match value {
        Ok(Some(value)) => value.to_string(),
        Ok(None) => "none".to_owned(),
        Err(error) => unreadable(error),
    };
    let (data, space) = (posts(&view.data), posts(&view.space));
    line("semaphores", format!("data {data}, space {space}"));
    line("lock", lock_text(&view.lock));
    lines.join("\n") + "\n"
}

fn unreadable(error: &io::Error) -> String {
    format!("cannot be read: {error}")
}

fn lock_text(lock: &io::Result<Lock>) -> String {
    match lock {
        Ok(Lock::Missing) => "none".to_owned(),
        Ok(Lock::Free) => "not held".to_owned(),
        Ok(Lock::Held(pid)) => format!("held by {}", process(*pid)),
        Err(error) => unreadable(error),
    }
}

fn segment_lines(segment: &SegmentView) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let length = segment.length;
    let Some(block) = &segment.block else {
        let why = segment.no_buffer.as_deref().unwrap_or_default();
        return vec![
            ("segment", format!("{length} bytes")),
            ("broken", why.to_owned()),
        ];
    };
    let [major, minor, patch, _] = block.version;
    let (metadata, payload) = (block.metadata_size, block.payload_size);
    lines.push((
        "segment",
        format!(
            "{length} bytes: {metadata} of metadata, {payload} of payload; version \
             {major}.{minor}.{patch}"
        ),
    ));
    for broken in [&segment.no_buffer, &segment.broken].into_iter().flatten() {
        lines.push(("broken", broken.clone()));
    }
    lines.push(("fill", fill(block)));
    lines.push(("unread", unread(segment, block)));
    lines.push((
        "written",
        format!(
            "{} frames and wraps, the next at {}",
            block.payload_written_count, block.payload_write_pos
        ),
    ));
    lines.push((
        "read",
        format!(
            "{} frames and wraps, the next at {}",
            block.payload_read_count, block.payload_read_pos
        ),
    ));
    let written = match segment.metadata {
        Some(length) => format!("{length} bytes"),
        None => "none".to_owned(),
    };
    lines.push(("metadata", written));
    let of = |pid: u64, none: &str| match pid {
        0 => none.to_owned(),
        pid => process(pid),
    };
    lines.push((
        "writer",
        of(block.writer_pid, "none, or left in good order"),
    ));
    lines.push(("reader", of(block.reader_pid, "left in good order")));
    lines
}

/// How full the ring is.
pub(super) fn fill(block: &ControlBlock) -> String {
    let (used, size) = (block.used(), block.payload_size);
    format!("{used} of {size} bytes ({:.1} %)", percent(block))
}

fn percent(block: &ControlBlock) -> f64 {
    match block.payload_size {
        0 => 0.0,
        size => block.used() as f64 / size as f64 * 100.0,
    }
}

/// How much waits to be read.
pub(super) fn unread(segment: &SegmentView, block: &ControlBlock) -> String {
    match segment.unread {
        Some(frames) => count(frames, "frame"),
        None => format!(
            "{} (wraps included)",
            count(block.unread_entries(), "frame")
        ),
    }
}

fn count(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// A buffer as JSON.
fn value(view: &View) -> Value {
    let (segment, segment_error) = or_error(&view.segment);
    let (data, data_error) = or_error(&view.data);
    let (space, space_error) = or_error(&view.space);
    let (lock, lock_error) = match &view.lock {
        Ok(lock) => (Some(*lock), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let errors = [segment_error, data_error, space_error, lock_error];
    json!({
        "name": view.name.as_str(),
        "segment": segment.map(segment_value),
        "semaphores": {"data": data, "space": space},
        "lock": lock.map(lock_value),
        "errors": errors.into_iter().flatten().collect::<Vec<String>>(),
    })
}

fn or_error<T>(found: &io::Result<Option<T>>) -> (Option<&T>, Option<String>) {
    match found {
        Ok(found) => (found.as_ref(), None),
        Err(error) => (None, Some(error.to_string())),
    }
}

fn lock_value(lock: Lock) -> Value {
    let (is_there, holder) = match lock {
        Lock::Missing => (false, None),
        Lock::Free => (true, None),
        Lock::Held(pid) => (true, Some(process_value(pid))),
    };
    json!({"exists": is_there, "holder": holder})
}

fn process_value(pid: u64) -> Value {
    let command = living_command(pid);
    json!({"pid": pid, "alive": command.is_some(), "command": command})
}

fn segment_value(segment: &SegmentView) -> Value {
    let broken = segment.no_buffer.as_ref().or(segment.broken.as_ref());
    let mut value = json!({
        "bytes": segment.length,
        "broken": broken,
        "metadata_bytes": segment.metadata,
        "unread_frames": segment.unread,
    });
    let Some(block) = &segment.block else {
        return value;
    };
    let of = |pid: u64| (pid != 0).then(|| process_value(pid));
    value["used_bytes"] = block.used().into();
    value["used_percent"] = percent(block).into();
    value["unread_entries"] = block.unread_entries().into();
    value["writer"] = of(block.writer_pid).into();
    value["reader"] = of(block.reader_pid).into();
    value["control_block"] = json!({
        "oieb_size": block.oieb_size,
        "version": block.version,
        "metadata_size": block.metadata_size,
        "metadata_free_bytes": block.metadata_free_bytes,
        "metadata_written_bytes": block.metadata_written_bytes,
        "payload_size": block.payload_size,
        "payload_free_bytes": block.payload_free_bytes,
        "payload_write_pos": block.payload_write_pos,
        "payload_read_pos": block.payload_read_pos,
        "payload_written_count": block.payload_written_count,
        "payload_read_count": block.payload_read_count,
        "writer_pid": block.writer_pid,
        "reader_pid": block.reader_pid,
    });
    value
}
