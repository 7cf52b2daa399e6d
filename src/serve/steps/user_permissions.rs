//! A writer of another user, which may not use the reader's files.

use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use cucumber::{given, then, when};
use nix::unistd::getuid;

use crate::BufferConfig;
use crate::rpc::message::SKIPPED;
use crate::serve::errand::{Errand, expect_other_user};
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::files::BufferFiles;
use crate::serve::outside::segment::{Field, OIEB_SIZE, RawSegment};
use crate::serve::world::World;

/// Who the writer's process becomes.
const OTHER_USER: &str = "nobody";

/// For the owner alone.
const RESTRICTIVE: u32 = 0o600;

/// Where the reader says which buffer it has restricted.
const BUFFER: &str = "restricted.buffer";

/// What the other user's process said.
const SAID: &str = "restricted.said";

/// What of the buffer was there before that process came.
const BEFORE: &str = "restricted.before";

/// The reader's user is the one that this process has.
#[given(regex = r"^the reader is '([^']+)'$")]
fn the_reader_is(_: &mut World, user: String) -> StepOutcome {
    if getuid().is_root() {
        tracing::info!("'{user}' is root");
        return Ok(());
    }
    Err(Failure::new(format!(
        "{SKIPPED}only root can be two users, this process is of user {}",
        getuid()
    )))
}

#[given(
    regex = r"^(?:the '([^']+)' process )?creates buffer '([^']+)' with restrictive permissions$"
)]
fn creates_buffer_with_restrictive_permissions(
    world: &mut World,
    role: String,
    buffer: String,
) -> StepOutcome {
    world.create_buffer(&role, &buffer, &BufferConfig::default())?;
    let files = BufferFiles::of(&world.buffer_name(&buffer)?);
    for path in files.all() {
        fs::set_permissions(path, Permissions::from_mode(RESTRICTIVE))?;
    }
    world.context.insert(BUFFER.into(), buffer);
    Ok(())
}

#[given(regex = r"^the writer is '([^']+)'$")]
#[when(regex = r"^the writer is '([^']+)'$")]
fn the_writer_is(_: &mut World, user: String) -> StepOutcome {
    expect_other_user(OTHER_USER)?;
    tracing::info!("'{user}' is {OTHER_USER}");
    Ok(())
}

#[when(regex = r"^another writer attempts to connect without permissions$")]
fn another_writer_attempts_to_connect(world: &mut World) -> StepOutcome {
    let segment = restricted(world)?;
    let before = contents(&segment)?;
    let errand = Errand::ConnectAs {
        user: OTHER_USER.into(),
        buffer: world.buffer_name(told(world, BUFFER)?)?.to_string(),
    };
    let said = errand.start()?.finish()?;
    tracing::info!("{said}");
    world.context.insert(SAID.into(), said);
    world.context.insert(BEFORE.into(), before);
    Ok(())
}

#[then(regex = r"^permission denied error should be handled$")]
fn permission_denied_error_should_be_handled(world: &mut World) -> StepOutcome {
    let said = told(world, SAID)?;
    let segment = restricted(world)?;
    let file = segment.files().segment.display().to_string();
    if said.starts_with("PermissionDenied: ") && said.contains(&file) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "expected PermissionDenied that names {file}, found: {said}"
    )))
}

/// Whether a step has restricted who may use a buffer.
pub fn is_restricted(world: &World) -> bool {
    world.context.contains_key(BUFFER)
}

/// Checks that the restricted buffer is what it was, and nobody is in the writer's place.
pub fn expect_unharmed(world: &World) -> StepOutcome {
    let segment = restricted(world)?;
    expect_equal("writer_pid", 0, segment.get(Field::WriterPid)?)?;
    let before = told(world, BEFORE)?.to_owned();
    expect_equal("what is in the buffer's files", before, contents(&segment)?)
}

fn told<'w>(world: &'w World, key: &str) -> Result<&'w str, Failure> {
    let value = world.context.get(key);
    value
        .map(String::as_str)
        .ok_or_else(|| Failure::new(format!("expected an earlier step to tell '{key}'")))
}

fn restricted(world: &World) -> Result<RawSegment, Failure> {
    RawSegment::open(&world.buffer_name(told(world, BUFFER)?)?)
}

/// Control block and semaphores of a buffer, and who may use its files.
fn contents(segment: &RawSegment) -> Result<String, Failure> {
    let files = segment.files();
    let mut contents = String::new();
    for path in files.all() {
        let mut bytes = Vec::new();
        File::open(path)?.take(OIEB_SIZE).read_to_end(&mut bytes)?;
        let mode = fs::metadata(path)?.permissions().mode();
        contents.push_str(&format!("{} {mode:o} {bytes:?} ", path.display()));
    }
    Ok(contents)
}
