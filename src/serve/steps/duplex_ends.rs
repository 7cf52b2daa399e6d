//! How servers and clients of duplex channels end: by an accident, or disposed of in good order.

use std::time::Duration;

use cucumber::{given, then, when};

use crate::duplex::ChannelName;
use crate::serve::channels::calling::{CallingEnd, RESPONSE_TIMEOUT};
use crate::serve::channels::handling::Task;
use crate::serve::channels::serving::expect_cleaned_up;
use crate::serve::death;
use crate::serve::failure::StepOutcome;
use crate::serve::pattern;
use crate::serve::world::World;

#[given(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?starts handler that crashes after '(\d+)' ms$"
)]
fn starts_crashing_handler(world: &mut World, role: String, milliseconds: u64) -> StepOutcome {
    let delay = Duration::from_millis(milliseconds);
    death::expect_allowed()?;
    world.servers.find(&role, None)?.start(Task::Crash, delay)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?simulates crash during processing$"
)]
fn simulates_crash_during_processing(world: &mut World, role: String) -> StepOutcome {
    world.servers.find(&role, None)?.await_crash()
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?sends request of '(\d+)' bytes$")]
fn sends_request_of_bytes(world: &mut World, role: String, size: usize) -> StepOutcome {
    world.clients.find(&role, None)?.send_plain(size)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?waits for response with timeout '(\d+)' seconds?$"
)]
fn waits_for_response(world: &mut World, role: String, seconds: u64) -> StepOutcome {
    let timeout = Duration::from_secs(seconds);
    world.clients.find(&role, None)?.wait(1, timeout)
}

#[then(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should detect server death$")]
fn should_detect_server_death(world: &mut World, role: String) -> StepOutcome {
    world.clients.find(&role, None)?.expect_server_death()
}

#[then(regex = r"^an appropriate exception should be thrown$")]
fn an_appropriate_exception_should_be_thrown(world: &mut World) -> StepOutcome {
    let calling = world.clients.find("", None)?;
    calling.expect_error_instead_of_response()
}

#[given(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?starts handler with '(\d+)' second processing delay$"
)]
fn starts_delaying_handler(world: &mut World, role: String, seconds: u64) -> StepOutcome {
    let delay = Duration::from_secs(seconds);
    world.servers.find(&role, None)?.start(Task::Echo, delay)
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?sends request$")]
fn sends_request_of_default_size(world: &mut World, role: String) -> StepOutcome {
    let calling = world.clients.find(&role, None)?;
    calling.send_plain(pattern::DEFAULT_FRAME_SIZE)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?simulates crash after '(\d+)' seconds?$"
)]
fn simulates_crash_after(world: &mut World, role: String, seconds: u64) -> StepOutcome {
    death::expect_allowed()?;
    world.clients.find(&role, None)?;
    std::thread::sleep(Duration::from_secs(seconds));
    death::die()
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?completes processing after '(\d+)' seconds?$"
)]
fn completes_processing_after(world: &mut World, role: String, seconds: u64) -> StepOutcome {
    let least = Duration::from_secs(seconds);
    world.servers.find(&role, None)?.expect_processing(least)
}

#[then(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?attempts to send response$")]
fn attempts_to_send_response(world: &mut World, role: String) -> StepOutcome {
    world.servers.find(&role, None)?.expect_sending_attempted()
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?detects client death when writing$"
)]
fn detects_client_death(world: &mut World, role: String) -> StepOutcome {
    world
        .servers
        .find(&role, None)?
        .diary()
        .expect_client_death()
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?continues processing other requests$"
)]
fn continues_processing_other_requests(world: &mut World, role: String) -> StepOutcome {
    let serving = world.servers.find(&role, None)?;
    if !serving.diary().has_been_asked_since_death()? {
        let channel = serving.channel().clone();
        ask_as_another_client(world, &channel)?;
    }
    let serving = world.servers.find(&role, None)?;
    serving.expect_running()?;
    serving.diary().expect_answer_since_death()
}

/// Asks the server once, if the scenario has no other client that does.
fn ask_as_another_client(world: &World, channel: &ChannelName) -> StepOutcome {
    world.note_client(channel);
    let mut calling = CallingEnd::connect(channel)?;
    calling.send_plain(pattern::DEFAULT_FRAME_SIZE)?;
    calling.receive_matching()?;
    Ok(())
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?sends '(\d+)' requests$")]
fn sends_requests(world: &mut World, role: String, count: usize) -> StepOutcome {
    world.clients.find(&role, None)?.send_numbered(count)
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?receives '(\d+)' responses$")]
fn receives_responses(world: &mut World, role: String, count: usize) -> StepOutcome {
    let calling = world.clients.find(&role, None)?;
    calling.receive_many(count)?;
    calling.correspondence().expect_matches()
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?disposes server while '(\d+)' responses? pending$"
)]
fn disposes_server(world: &mut World, role: String, pending: usize) -> StepOutcome {
    world.servers.find(&role, None)?.dispose(pending)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?attempts to receive pending responses$"
)]
fn attempts_to_receive_pending_responses(world: &mut World, role: String) -> StepOutcome {
    let calling = world.clients.find(&role, None)?;
    calling.wait(usize::MAX, RESPONSE_TIMEOUT)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should receive exception on pending$"
)]
fn should_receive_exception_on_pending(world: &mut World, role: String) -> StepOutcome {
    let calling = world.clients.find(&role, None)?;
    calling.expect_error_behind_responses()
}

/// The server was disposed of; the client's own part is released here.
#[then(regex = r"^all shared memory should be cleaned up$")]
fn all_shared_memory_should_be_cleaned_up(world: &mut World) -> StepOutcome {
    let calling = world.clients.take("", None)?;
    let channel = calling.channel().clone();
    drop(calling);
    expect_cleaned_up(&channel)
}

#[then(regex = r"^the new server should reuse same channel name successfully$")]
fn the_new_server_should_reuse_name(world: &mut World) -> StepOutcome {
    world.servers.find("", None)?.expect_name_usable()
}
