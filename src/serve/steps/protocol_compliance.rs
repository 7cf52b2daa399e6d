//! The protocol as it can be seen from outside: layout, counters, locks and names.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use cucumber::gherkin::Step;
use cucumber::{given, then, when};

use crate::channel::MAX_NAME;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::files::BufferFiles;
use crate::serve::outside::mapping::Mapping;
use crate::serve::outside::name_rules::{linux_objection, windows_objection};
use crate::serve::outside::observing::{
    ALIGNMENT, Change, Observations, Placed, Snapshot, expect_multiple,
};
use crate::serve::outside::odd_ring;
use crate::serve::outside::places;
use crate::serve::outside::segment::{Field, HEADER, OIEB_SIZE, RawSegment};
use crate::serve::pattern;
use crate::serve::world::World;
use crate::{BufferConfig, BufferName, Error};

/// Data bytes of the frames whose writes are observed.
const OBSERVED_SIZES: [usize; 6] = [1, 100, 1024, 4096, 65_536, 1_000_000];

/// Data bytes of frames that leave the next one at any position.
const VARIOUS_SIZES: [usize; 9] = [1, 3, 7, 63, 64, 65, 1000, 4097, 1];

/// Where lock files are.
const LOCKS: &str = "/tmp/zerobuffer";

/// Where segments and semaphores are.
const SHARED_MEMORY: &str = "/dev/shm";

/// The key under which later processes are told which buffer's lock was looked at.
const LOCKED_BUFFER: &str = "locked_buffer";

#[given(regex = r"^we are in DEBUG mode for protocol compliance tests$")]
fn we_are_in_debug_mode(world: &mut World) {
    world.observations = Some(Observations::default());
}

fn observations(world: &mut World) -> Result<&mut Observations, Failure> {
    let observed = world.observations.as_mut();
    observed.ok_or_else(|| Failure::new("expected to be in DEBUG mode, in which all is observed"))
}

#[when(regex = r"^(?:the '([^']+)' process )?performs multiple write operations$")]
fn performs_multiple_write_operations(world: &mut World, role: String) -> StepOutcome {
    write_observed(world, &role, &OBSERVED_SIZES)?;
    let odd = odd_ring::observe(world)?;
    observations(world)?.writes.append(odd.writes);
    Ok(())
}

#[when(regex = r"^(?:the '([^']+)' process )?writes various sized frames$")]
fn writes_various_sized_frames(world: &mut World, role: String) -> StepOutcome {
    write_observed(world, &role, &VARIOUS_SIZES)
}

fn write_observed(world: &mut World, role: &str, sizes: &[usize]) -> StepOutcome {
    for &size in sizes {
        let writer = world.writers.find(role, None)?.writer()?;
        let raw = RawSegment::open(writer.name())?;
        let before = Snapshot::of(&raw)?;
        let offset = raw.get(Field::PayloadWritePos)?;
        let sequence = writer.write(&pattern::sequenced(size, writer.next_sequence())?)?;
        let change = Change {
            before,
            after: Snapshot::of(&raw)?,
            total: HEADER + size as u64,
        };
        let observed = observations(world)?;
        observed.writes.note(change);
        observed.placed.push(Placed {
            offset,
            size,
            sequence,
        });
    }
    Ok(())
}

#[then(regex = r"^(?:the '([^']+)' process )?should verify after each write:$")]
fn should_verify_after_each_write(world: &mut World, _role: String, step: &Step) -> StepOutcome {
    let writes = &observations(world)?.writes;
    writes.expect_variety(Field::PayloadWritePos)?;
    writes.expect("write", rows(step))
}

/// Reads whatever is in the ring, and then frames that end in all ways.
#[when(regex = r"^(?:the '([^']+)' process )?performs multiple read operations$")]
fn performs_multiple_read_operations(world: &mut World, role: String) -> StepOutcome {
    loop {
        let reading = world.readers.find(&role, None)?;
        let raw = RawSegment::open(reading.buffer())?;
        if raw.used()? == 0 {
            break;
        }
        let before = Snapshot::of(&raw)?;
        let frame = reading.read()?;
        frame.expect_sequenced_data()?;
        let total = HEADER + frame.data.len() as u64;
        reading.release()?;
        let change = Change {
            before,
            after: Snapshot::of(&raw)?,
            total,
        };
        observations(world)?.reads.note(change);
    }
    let odd = odd_ring::observe(world)?;
    observations(world)?.reads.append(odd.reads);
    Ok(())
}

#[then(regex = r"^(?:the '([^']+)' process )?should verify after each read:$")]
fn should_verify_after_each_read(world: &mut World, _role: String, step: &Step) -> StepOutcome {
    let reads = &observations(world)?.reads;
    reads.expect_variety(Field::PayloadReadPos)?;
    reads.expect("read", rows(step))
}

fn rows(step: &Step) -> &[Vec<String>] {
    step.table.as_ref().map_or(&[], |table| &table.rows)
}

#[then(
    regex = r"^(?:the '([^']+)' process )?should verify OIEB starts at 64-byte aligned address$"
)]
fn should_verify_oieb_address(world: &mut World, role: String) -> StepOutcome {
    let name = reader_name(world, &role)?;
    expect_mapped_in_one_piece(&RawSegment::open(&name)?)?;
    places::expect_fields(world)
}

/// The system maps a file's first byte at the beginning of a page, so that what is aligned in the file
/// is so in memory.
fn expect_mapped_in_one_piece(raw: &RawSegment) -> StepOutcome {
    for mapping in Mapping::of_file(&raw.files().segment)? {
        let is_whole = mapping.offset == 0 && mapping.size >= raw.length()?;
        if !is_whole {
            return Err(Failure::new(format!(
                "expected all {} bytes of the segment in one piece, found {mapping:?}",
                raw.length()?
            )));
        }
    }
    Ok(())
}

#[then(
    regex = r"^(?:the '([^']+)' process )?should verify metadata block starts at 64-byte aligned offset$"
)]
fn should_verify_metadata_offset(world: &mut World, role: String) -> StepOutcome {
    let name = reader_name(world, &role)?;
    let offset = RawSegment::open(&name)?.get(Field::OiebSize)?;
    expect_equal("offset of the metadata block", OIEB_SIZE, offset)?;
    places::expect_metadata(world)
}

/// The block ends where the segment does, so that its beginning is known twice. With sizes that
/// are no multiples of 64 both blocks begin at such offsets as well.
#[then(
    regex = r"^(?:the '([^']+)' process )?should verify payload block starts at 64-byte aligned offset$"
)]
fn should_verify_payload_offset(world: &mut World, role: String) -> StepOutcome {
    let name = reader_name(world, &role)?;
    let raw = RawSegment::open(&name)?;
    let offset = raw.get(Field::OiebSize)? + raw.get(Field::MetadataSize)?;
    let from_the_end = raw.length()? - raw.get(Field::PayloadSize)?;
    expect_equal("offset of the payload block", from_the_end, offset)?;
    expect_multiple("offset of the payload block", ALIGNMENT, offset)?;
    odd_ring::expect_rounded_up(world)
}

/// What is accessed as a number is aligned; frames stand anywhere, and are whole all the same.
#[then(regex = r"^(?:the '([^']+)' process )?should verify all data access respects alignment$")]
fn should_verify_all_data_access(world: &mut World, role: String) -> StepOutcome {
    let name = world.writers.find(&role, None)?.writer()?.name().clone();
    let raw = RawSegment::open(&name)?;
    expect_mapped_in_one_piece(&raw)?;
    places::expect_fields(world)?;
    let placed = &observations(world)?.placed;
    for frame in placed {
        expect_placed(&raw, *frame)?;
    }
    if placed.iter().all(|frame| frame.offset.is_multiple_of(8)) {
        return Err(Failure::new(format!(
            "expected a frame at an offset that is no multiple of 8, found {placed:?}"
        )));
    }
    Ok(())
}

fn expect_placed(raw: &RawSegment, frame: Placed) -> StepOutcome {
    let header = raw.header_at(frame.offset)?;
    let at = format!("the header at {}", frame.offset);
    expect_equal(&format!("size in {at}"), frame.size as u64, header.size)?;
    expect_equal(
        &format!("sequence in {at}"),
        frame.sequence,
        header.sequence,
    )?;
    let data = raw.payload(frame.offset + HEADER, frame.size)?;
    let expected = pattern::sequenced(frame.size, frame.sequence)?;
    pattern::compare(&format!("the frame at {}", frame.offset), &expected, &data)
}

fn reader_name(world: &mut World, role: &str) -> Result<BufferName, Failure> {
    Ok(world.readers.find(role, None)?.buffer().clone())
}

/// Tells later processes which buffer this is about, as they may never have heard of it.
#[then(regex = r"^verify lock file exists at correct location$")]
fn verify_lock_file_exists(world: &mut World) -> StepOutcome {
    let name = reader_name(world, "")?;
    let path = lock_of(&name);
    let found = fs::symlink_metadata(&path)
        .map_err(|error| Failure::from(error).while_doing(path.display()))?;
    expect_equal("the lock is a file", true, found.is_file())?;
    world.context.insert(LOCKED_BUFFER.into(), name.to_string());
    Ok(())
}

/// Where the protocol has it.
fn lock_of(name: &BufferName) -> PathBuf {
    Path::new(LOCKS).join(format!("{name}.lock"))
}

#[then(regex = r"^verify lock file is actually locked$")]
fn verify_lock_file_is_locked(world: &mut World) -> StepOutcome {
    let name = locked_buffer(world)?;
    expect_equal("the lock file is locked", true, is_locked(&name)?)
}

fn locked_buffer(world: &World) -> Result<BufferName, Failure> {
    let name = world.context.get(LOCKED_BUFFER).ok_or_else(|| {
        Failure::new("expected a lock file to have been looked at before, found none")
    })?;
    Ok(BufferName::new(name.as_str())?)
}

/// Whether somebody holds the lock, found out by trying it on a descriptor of its own.
fn is_locked(name: &BufferName) -> Result<bool, Failure> {
    let path = lock_of(name);
    let file =
        File::open(&path).map_err(|error| Failure::from(error).while_doing(path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// In a process that has just been started, in the place of the one that was killed.
#[then(regex = r"^new reader can acquire lock after detecting stale$")]
fn new_reader_can_acquire_lock(world: &mut World) -> StepOutcome {
    let name = locked_buffer(world)?;
    let files = BufferFiles::of(&name);
    expect_equal("files left by the dead reader", 4, files.existing().len())?;
    let dead = RawSegment::open(&name)?.get(Field::ReaderPid)?;
    let lives = Path::new(&format!("/proc/{dead}")).exists();
    expect_equal("the reader in the segment lives", false, lives)?;
    expect_equal("the lock that it left is locked", false, is_locked(&name)?)?;
    world.create_named_buffer("reader", name.as_str(), &name, &BufferConfig::default())?;
    expect_equal("the lock file is locked anew", true, is_locked(&name)?)?;
    let owner = RawSegment::open(&name)?.get(Field::ReaderPid)?;
    expect_equal("reader_pid", u64::from(std::process::id()), owner)
}

#[when(regex = r"^graceful shutdown$")]
fn graceful_shutdown(world: &mut World) -> StepOutcome {
    reader_name(world, "")?;
    world.release();
    Ok(())
}

#[then(regex = r"^verify lock file is removed$")]
fn verify_lock_file_is_removed(world: &mut World) -> StepOutcome {
    let name = locked_buffer(world)?;
    let path = lock_of(&name);
    let what = format!("{} exists", path.display());
    expect_equal(&what, false, path.symlink_metadata().is_ok())?;
    let left = BufferFiles::of(&name).existing().len();
    expect_equal("other files of the buffer", 0, left)
}

/// A row that is about the longest name stands for the longest that there can be as well.
#[given(regex = r"^create buffers with various names:$")]
fn create_buffers_with_various_names(world: &mut World, step: &Step) -> StepOutcome {
    let config = BufferConfig::new(64, 1024);
    for row in rows(step).iter().skip(1) {
        let [name, description] = row.as_slice() else {
            return Err(Failure::new(format!(
                "expected a name and a description, found {row:?}"
            )));
        };
        world.create_buffer("", name, &config)?;
        if description == "max length" {
            let longest = longest_name(world)?;
            world.create_buffer("", &longest, &config)?;
        }
    }
    Ok(())
}

/// A name that is as long as can be with what makes it unique to this run.
fn longest_name(world: &World) -> Result<String, Failure> {
    let with_one = world.buffer_name("n")?.as_str().len();
    Ok("n".repeat(MAX_NAME + 1 - with_one))
}

#[then(regex = r"^verify semaphores created as '([^']+)' and '([^']+)'$")]
fn verify_semaphores_created_as(world: &mut World, data: String, space: String) -> StepOutcome {
    let names = created_names(world)?;
    for name in &names {
        let mut expected = [data.as_str(), space.as_str()]
            .map(|template| format!("sem.{}", template.replace("{name}", name.as_str())));
        expected.sort();
        let mut found = Vec::new();
        for entry in fs::read_dir(SHARED_MEMORY)? {
            let entry = entry?.file_name().to_string_lossy().into_owned();
            if entry.starts_with("sem.") && entry.ends_with(name.as_str()) {
                found.push(entry);
            }
        }
        found.sort();
        let what = format!("semaphores of '{name}'");
        expect_equal(&what, expected.join(", "), found.join(", "))?;
        let raw = RawSegment::open(name)?;
        expect_equal("value of the data semaphore", 0, raw.data_posts()?)?;
        expect_equal("value of the space semaphore", 0, raw.space_posts()?)?;
    }
    Ok(())
}

/// Of the buffers that this process reads, several.
fn created_names(world: &mut World) -> Result<Vec<BufferName>, Failure> {
    let readers = world.readers.iter_mut();
    let names: Vec<_> = readers.map(|r| r.buffer().clone()).collect();
    if names.len() < 2 {
        let found = names.len();
        return Err(Failure::new(format!(
            "expected several buffers, found {found}"
        )));
    }
    Ok(names)
}

#[then(regex = r"^verify both Linux and Windows naming rules respected$")]
fn verify_naming_rules(world: &mut World) -> StepOutcome {
    let names = created_names(world)?;
    for name in &names {
        for path in BufferFiles::of(name).all() {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            // Windows knows no prefix to the names of semaphores.
            let object = file.strip_prefix("sem.").unwrap_or(&file);
            expect_no_objection("Linux", &file, linux_objection(&file))?;
            expect_no_objection("Windows", object, windows_objection(object))?;
        }
    }
    let longest = names.iter().map(|name| name.as_str().len()).max();
    expect_equal("length of the longest name", MAX_NAME, longest.unwrap_or(0))?;
    for name in ["", ".", "..", "a/b", "a\0b", &"n".repeat(MAX_NAME + 1)] {
        expect_refused(name)?;
    }
    Ok(())
}

fn expect_no_objection(system: &str, name: &str, objection: Option<&str>) -> StepOutcome {
    match objection {
        None => Ok(()),
        Some(why) => Err(Failure::new(format!(
            "expected {system} to take the name '{name}', but {why}"
        ))),
    }
}

/// Names that would make no legal ones are refused before anything is made.
fn expect_refused(name: &str) -> StepOutcome {
    match BufferName::new(name) {
        Err(Error::InvalidName { .. }) => Ok(()),
        other => Err(Failure::new(format!(
            "expected the name {name:?} to be refused as invalid, found {other:?}"
        ))),
    }
}
