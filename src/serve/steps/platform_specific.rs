//! Names and places on the machine, as other programs see them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Instant;

use cucumber::{given, then, when};

use crate::channel::MAX_NAME;
use crate::rpc::message::SKIPPED;
use crate::serve::attempt::Operation;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::files::BufferFiles;
use crate::serve::outside::relic::{self, Relics};
use crate::serve::outside::segment::{Field, OIEB_SIZE, RawSegment};
use crate::serve::outside::semaphore;
use crate::serve::strain::census::{self, SHM};
use crate::serve::strain::crowd::cross_everywhere;
use crate::serve::world::World;
use crate::{BufferConfig, BufferName, Error, Reader};

/// What everybody may do with a buffer's files, unless the umask forbids it.
const MODE: u32 = 0o666;

/// A file's name has at most so many bytes.
const LONGEST_FILE_NAME: usize = 255;

/// Legal names that programs are most likely to trip over.
const SPECIAL: [&str; 10] = [
    "with space",
    "umlaut-\u{fc}",
    "a.b_c-d:e",
    "..dots",
    "-rf",
    "quotes'\"`",
    "semi;colon&pipe|",
    "star*[?]{x}",
    "back\\slash$HOME",
    "line\nbreak\t",
];

/// Names that no platform accepts.
const ILLEGAL: [&str; 5] = ["", ".", "..", "a/b", "a\0b"];

/// The characters that mean nothing special to any platform.
const PORTABLE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";

const SMALL: BufferConfig = BufferConfig {
    metadata_size: 64,
    payload_size: 4096,
};

#[given(regex = r"^the platform is '([^']+)'$")]
fn the_platform_is(_: &mut World, platform: String) -> StepOutcome {
    if platform.eq_ignore_ascii_case(std::env::consts::OS) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{SKIPPED}this is {}, not {platform}",
        std::env::consts::OS
    )))
}

/// Its place, its size, and who may use it.
#[then(regex = r"^verify shared memory entry exists in '/dev/shm/'$")]
fn verify_shared_memory_entry(world: &mut World) -> StepOutcome {
    let files = last_files(world)?;
    let config = BufferConfig::default();
    let size = OIEB_SIZE as usize + config.metadata_size + config.payload_size;
    expect_file(&files.segment, size as u64)?;
    world.seen.push(files);
    Ok(())
}

/// Their places, their values, and who may use them; and that there is nothing else of this buffer.
#[then(regex = r"^verify proper named semaphores created$")]
fn verify_proper_named_semaphores(world: &mut World) -> StepOutcome {
    let files = last_files(world)?;
    for path in [&files.data_semaphore, &files.space_semaphore] {
        expect_file(path, semaphore::SIZE as u64)?;
    }
    let name = world.readers.find("", None)?.buffer().clone();
    let segment = RawSegment::open(&name)?;
    expect_equal("value of the data semaphore", 0, segment.data_posts()?)?;
    expect_equal("value of the space semaphore", 0, segment.space_posts()?)?;
    let found = file_names(&world.mark())?;
    let expected = [
        name.to_string(),
        format!("sem.sem-r-{name}"),
        format!("sem.sem-w-{name}"),
    ];
    let expected: BTreeSet<String> = expected.into();
    if found == expected {
        return Ok(());
    }
    Err(Failure::new(format!(
        "expected {expected:?} in {SHM}, found {found:?}"
    )))
}

/// Every one is made, used and removed; illegal ones are refused by their case.
#[then(regex = r"^test with buffer names containing special characters$")]
fn test_with_special_characters(world: &mut World) -> StepOutcome {
    for special in SPECIAL {
        let name = world.buffer_name(special)?;
        let files = try_name(world, &name)
            .map_err(|failure| failure.while_doing(format!("{special:?}")))?;
        world.seen.push(files);
    }
    ILLEGAL.iter().try_for_each(|name| expect_illegal(name))
}

/// Makes a buffer of this name, looks for its files, uses it from end to end and removes it.
fn try_name(world: &World, name: &BufferName) -> Result<BufferFiles, Failure> {
    world.registry().note_reader(name);
    let mut reader = Reader::create(name, &SMALL)?;
    let files = BufferFiles::of(name);
    expect_equal("files of the buffer", 4, files.existing().len())?;
    let entry = fs::exists(Path::new(SHM).join(name.as_str()))?;
    expect_equal("the segment bears the name", true, entry)?;
    cross_everywhere(&mut reader)?;
    drop(reader);
    expect_equal("files left", 0, files.existing().len())?;
    Ok(files)
}

fn expect_illegal(name: &str) -> StepOutcome {
    match BufferName::new(name) {
        Err(Error::InvalidName { .. }) => Ok(()),
        other => Err(Failure::new(format!(
            "{name:?}: expected InvalidName, found {other:?}"
        ))),
    }
}

#[when(regex = r"^gracefully shutdown$")]
fn gracefully_shutdown(world: &mut World) {
    world.release();
}

#[then(regex = r"^verify proper cleanup in '/dev/shm/'$")]
fn verify_proper_cleanup(world: &mut World) -> StepOutcome {
    if world.seen.is_empty() {
        return Err(Failure::new(
            "expected files that were seen before the shutdown, found none",
        ));
    }
    let seen = world.seen.iter().flat_map(|files| files.existing());
    let left: BTreeSet<_> = seen.cloned().chain(census::names(&world.mark())?).collect();
    census::expect_names(&BTreeSet::new(), &left)
}

fn last_files(world: &mut World) -> Result<BufferFiles, Failure> {
    let reading = world.readers.find("", None)?;
    Ok(BufferFiles::of(reading.buffer()))
}

fn expect_file(path: &Path, size: u64) -> StepOutcome {
    let what = |what: &str| format!("{what} of {}", path.display());
    let metadata = fs::symlink_metadata(path)
        .map_err(|error| Failure::from(error).while_doing(path.display()))?;
    expect_equal(&what("file type"), true, metadata.is_file())?;
    expect_equal(&what("size"), size, metadata.size())?;
    let owner = nix::unistd::geteuid().as_raw();
    expect_equal(&what("owner"), owner, metadata.uid())?;
    let mode = format!("{:o}", metadata.permissions().mode() & 0o7777);
    expect_equal(&what("mode"), format!("{:o}", MODE & !umask()?), mode)
}

/// What this process forbids for the files that it makes.
fn umask() -> Result<u32, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    let umask = umask.ok_or_else(|| Failure::new("/proc/self/status does not tell Umask"))?;
    Ok(u32::from_str_radix(umask.trim(), 8)?)
}

/// The names of this run in `/dev/shm`.
fn file_names(mark: &str) -> Result<BTreeSet<String>, Failure> {
    let paths = census::names(mark)?;
    let shm = paths.iter().filter(|path| path.starts_with(SHM));
    Ok(shm
        .filter_map(|path| path.file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.contains(mark))
        .collect())
}

#[then(regex = r"^verify (CreateFileMapping with proper naming)$")]
fn verify_create_file_mapping(_: &mut World, what: String) -> StepOutcome {
    only_on_windows(&what)
}

#[then(regex = r"^test (Global vs Local namespace for different contexts)$")]
fn test_global_and_local_namespace(_: &mut World, what: String) -> StepOutcome {
    only_on_windows(&what)
}

#[then(regex = r"^verify (semaphore limits and max count)$")]
fn verify_semaphore_limits(_: &mut World, what: String) -> StepOutcome {
    only_on_windows(&what)
}

#[when(regex = r"^test across (different user sessions)$")]
fn test_across_sessions(_: &mut World, what: String) -> StepOutcome {
    only_on_windows(&what)
}

#[then(regex = r"^verify (proper isolation or sharing as expected)$")]
fn verify_isolation(_: &mut World, what: String) -> StepOutcome {
    only_on_windows(&what)
}

fn only_on_windows(what: &str) -> StepOutcome {
    Err(Failure::new(format!(
        "{SKIPPED}{what}: there are named objects on Windows only, this is {}",
        std::env::consts::OS
    )))
}

/// As the files bear it: without what makes it this run's.
#[then(regex = r"^verify name contains only alphanumeric and dash$")]
fn verify_name_is_portable(world: &mut World) -> StepOutcome {
    let mark = world.mark();
    let names = file_names(&mark)?;
    let found: Vec<&str> = names
        .iter()
        .filter_map(|name| name.strip_suffix(&mark))
        .map(|name| name.strip_prefix("sem.").unwrap_or(name))
        .collect();
    expect_equal("names in /dev/shm", 3, found.len())?;
    for name in found {
        if let Some(other) = name.chars().find(|c| !PORTABLE.contains(*c)) {
            return Err(Failure::new(format!(
                "expected letters, digits and dashes, found {other:?} in '{name}'"
            )));
        }
    }
    Ok(())
}

/// Every character that all platforms have is legal, and works; what one forbids is refused.
#[then(regex = r"^same name rules work on both platforms$")]
fn same_name_rules_work(world: &mut World) -> StepOutcome {
    try_name(world, &world.buffer_name(PORTABLE)?)?;
    ILLEGAL.iter().try_for_each(|name| expect_illegal(name))
}

/// The longest name there is, and one byte more.
#[when(regex = r"^test maximum name length$")]
fn test_maximum_name_length(world: &mut World) {
    let rest = MAX_NAME - world.mark().len();
    for length in [rest, rest + 1] {
        let begun = Instant::now();
        let created = world.create_buffer("", &"m".repeat(length), &SMALL);
        let took = begun.elapsed();
        world.attempts.note(Operation::Create, took, created);
    }
}

#[then(regex = r"^both platforms should handle it correctly$")]
fn both_platforms_should_handle_it(world: &mut World) -> StepOutcome {
    match world.attempts.error(Operation::Create)? {
        Error::InvalidName { name, .. } => {
            expect_equal("length of the name refused", MAX_NAME + 1, name.len())?;
        }
        other => {
            return Err(Failure::new(format!(
                "one byte too many: expected InvalidName, found {other:?}"
            )));
        }
    }
    let reading = world.readers.find("", None)?;
    let reader = reading.reader()?;
    expect_equal(
        "length of the longest name",
        MAX_NAME,
        reader.name().as_str().len(),
    )?;
    let files = BufferFiles::of(reader.name());
    let lengths = files
        .existing()
        .into_iter()
        .filter_map(|path| path.file_name());
    let longest = lengths.map(|name| name.len()).max();
    expect_equal("longest file name", LONGEST_FILE_NAME, longest.unwrap_or(0))?;
    expect_equal("files of the buffer", 4, files.existing().len())?;
    cross_everywhere(reader)
}

#[given(regex = r"^manually create stale lock file for '([^']+)'$")]
fn create_stale_lock_file(world: &mut World, buffer: String) -> StepOutcome {
    Ok(relic::leave_lock(&relic_name(world, &buffer)?)?)
}

#[given(regex = r"^create orphaned shared memory for '([^']+)'$")]
fn create_orphaned_shared_memory(world: &mut World, buffer: String) -> StepOutcome {
    relic::leave_segment(&relic_name(world, &buffer)?)
}

#[given(regex = r"^create orphaned semaphores for '([^']+)'$")]
fn create_orphaned_semaphores(world: &mut World, buffer: String) -> StepOutcome {
    Ok(relic::leave_semaphores(&relic_name(world, &buffer)?)?)
}

/// The name of a buffer of which files are made without a reader, who would remove them.
fn relic_name(world: &World, buffer: &str) -> Result<BufferName, Failure> {
    let name = world.buffer_name(buffer)?;
    world.registry().note_parts(&name);
    Ok(name)
}

#[when(regex = r"^(?:the '([^']+)' process )?attempts to create buffer '([^']+)'$")]
fn attempts_to_create_buffer(world: &mut World, role: String, buffer: String) -> StepOutcome {
    world.findings.relics = Some(Relics::of(&world.buffer_name(&buffer)?)?);
    let begun = Instant::now();
    let created = world.create_buffer(&role, &buffer, &SMALL);
    let took = begun.elapsed();
    world.attempts.note(Operation::Create, took, created);
    Ok(())
}

#[then(regex = r"^the stale resources should be detected$")]
fn the_stale_resources_should_be_detected(world: &mut World) -> StepOutcome {
    world.findings.relics()?.expect_of_dead_reader()
}

#[then(regex = r"^the old resources should be cleaned up$")]
fn the_old_resources_should_be_cleaned_up(world: &mut World) -> StepOutcome {
    world.findings.relics()?.expect_replaced()
}

/// It is this process's, as new, and works.
#[then(regex = r"^the new buffer should be created successfully$")]
fn the_new_buffer_should_be_created(world: &mut World) -> StepOutcome {
    let attempt = world.attempts.last(Operation::Create)?;
    if let Some(error) = &attempt.error {
        return Err(Failure::new(format!(
            "expected the buffer to be made, found: {error}"
        )));
    }
    let reader = world.readers.find("", None)?.reader()?;
    let segment = RawSegment::open(reader.name())?;
    let payload = SMALL.payload_size as u64;
    for (field, expected) in [
        (Field::MetadataSize, SMALL.metadata_size as u64),
        (Field::PayloadSize, payload),
        (Field::PayloadFreeBytes, payload),
        (Field::PayloadWrittenCount, 0),
        (Field::PayloadReadCount, 0),
        (Field::WriterPid, 0),
        (Field::ReaderPid, std::process::id().into()),
    ] {
        expect_equal(&format!("{field:?}"), expected, segment.get(field)?)?;
    }
    cross_everywhere(reader)
}
