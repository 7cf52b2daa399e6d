//! Requests and responses over a duplex channel.

use std::time::Duration;

use cucumber::{given, then, when};

use crate::BufferConfig;
use crate::duplex::ServerOptions;
use crate::serve::channels::calling::CallingEnd;
use crate::serve::channels::handling::Task;
use crate::serve::channels::serving::{ServingEnd, processing_mode};
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::world::World;

/// Where the server's process tells the client's which key it applies, in hexadecimal.
const XOR_KEY: &str = "xor_key";

/// The key of servers that do not tell.
const USUAL_XOR_KEY: u8 = 0xFF;

/// How many times as long as its step says a slow handler takes. The clock of the stock Python client
/// starts only after the last request was sent: of three times 100 ms it has measured 299.29.
const FOR_LATE_CLOCKS: f64 = 1.1;

#[given(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?creates immutable duplex channel '([^']+)' with metadata size '(\d+)' and payload size '(\d+)'$"
)]
fn creates_channel_with_sizes(
    world: &mut World,
    role: String,
    channel: String,
    metadata_size: usize,
    payload_size: usize,
) -> StepOutcome {
    let options = ServerOptions {
        buffer: BufferConfig {
            metadata_size,
            payload_size,
        },
        ..ServerOptions::default()
    };
    plan_server(world, &role, &channel, options)
}

#[given(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?creates immutable duplex channel '([^']+)'(?: with default config)?$"
)]
#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?creates immutable duplex channel '([^']+)'(?: with default config)?$"
)]
fn creates_channel(world: &mut World, role: String, channel: String) -> StepOutcome {
    plan_server(world, &role, &channel, ServerOptions::default())
}

#[given(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?creates immutable duplex channel '([^']+)' with processing mode '([^']+)'$"
)]
fn creates_channel_with_mode(
    world: &mut World,
    role: String,
    channel: String,
    mode: String,
) -> StepOutcome {
    let options = ServerOptions {
        mode: processing_mode(&mode)?,
        ..ServerOptions::default()
    };
    plan_server(world, &role, &channel, options)
}

fn plan_server(
    world: &mut World,
    role: &str,
    channel: &str,
    options: ServerOptions,
) -> StepOutcome {
    let name = world.channel_name(channel)?;
    world.registry().note_reader(name.request());
    world.registry().note_writer(name.response());
    let serving = ServingEnd::plan(name, options);
    world.servers.add(role, channel, serving);
    Ok(())
}

#[given(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?starts echo handler$")]
fn starts_echo_handler(world: &mut World, role: String) -> StepOutcome {
    world
        .servers
        .find(&role, None)?
        .start(Task::Echo, Duration::ZERO)
}

#[given(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?starts handler with '(\d+)' ms processing time$"
)]
fn starts_slow_handler(world: &mut World, role: String, milliseconds: u64) -> StepOutcome {
    let processing = Duration::from_millis(milliseconds);
    let serving = world.servers.find(&role, None)?;
    serving.start(Task::Echo, processing.mul_f64(FOR_LATE_CLOCKS))
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?creates duplex channel client '([^']+)'$"
)]
fn creates_client(world: &mut World, role: String, channel: String) -> StepOutcome {
    let name = world.channel_name(&channel)?;
    world.note_client(&name);
    let calling = CallingEnd::connect(&name)?;
    world.clients.add(&role, &channel, calling);
    Ok(())
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?sends request with size '(\d+)'$"
)]
fn sends_request(world: &mut World, role: String, size: usize) -> StepOutcome {
    world.clients.find(&role, None)?.send_plain(size)
}

#[then(regex = r"^response should match request with size '(\d+)'$")]
fn response_should_match_request(world: &mut World, size: usize) -> StepOutcome {
    let found = world.clients.find("", None)?.receive_matching()?;
    expect_equal("size of the response", size, found)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?sends '(\d+)' requests sequentially$"
)]
fn sends_requests_sequentially(world: &mut World, role: String, count: usize) -> StepOutcome {
    world.clients.find(&role, None)?.send_numbered(count)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?sends '(\d+)' requests from single thread$"
)]
fn sends_requests_from_single_thread(world: &mut World, role: String, count: usize) -> StepOutcome {
    world.clients.find(&role, None)?.send_numbered(count)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?receives '(\d+)' responses in order$"
)]
fn receives_responses_in_order(world: &mut World, role: String, count: usize) -> StepOutcome {
    let calling = world.clients.find(&role, None)?;
    calling.receive_many(count)?;
    calling.correspondence().expect_order()
}

#[then(regex = r"^responses should match requests by content$")]
fn responses_should_match_requests(world: &mut World) -> StepOutcome {
    world
        .clients
        .find("", None)?
        .correspondence()
        .expect_matches()
}

#[then(regex = r"^no responses should be lost or duplicated$")]
fn no_responses_should_be_lost_or_duplicated(world: &mut World) -> StepOutcome {
    let calling = world.clients.find("", None)?;
    calling.correspondence().expect_one_response_each()?;
    calling.expect_no_more_responses()
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?receives exactly '(\d+)' responses$"
)]
fn receives_exactly(world: &mut World, role: String, count: usize) -> StepOutcome {
    let calling = world.clients.find(&role, None)?;
    calling.receive_many(count)?;
    calling.correspondence().expect_matches()?;
    calling.correspondence().expect_one_response_each()?;
    calling.expect_no_more_responses()
}

#[then(regex = r"^all '(\d+)' responses match their requests$")]
fn all_responses_match(world: &mut World, count: usize) -> StepOutcome {
    let calling = world.clients.find("", None)?;
    let letters = calling.correspondence();
    expect_equal("number of responses", count, letters.received())?;
    letters.expect_matches()
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?measures total response time$")]
fn measures_total_response_time(world: &mut World, role: String) -> StepOutcome {
    world.clients.find(&role, None)?.measure()
}

#[then(regex = r"^total time should be at least '(\d+)' ms$")]
fn total_time_should_be_at_least(world: &mut World, milliseconds: u64) -> StepOutcome {
    let least = Duration::from_millis(milliseconds);
    world.clients.find("", None)?.expect_total_time(least)
}

#[then(regex = r"^responses should arrive in order$")]
fn responses_should_arrive_in_order(world: &mut World) -> StepOutcome {
    let letters = world.clients.find("", None)?.correspondence();
    letters.expect_matches()?;
    letters.expect_order()
}

#[given(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?starts handler that doubles request size$"
)]
fn starts_doubling_handler(world: &mut World, role: String) -> StepOutcome {
    let serving = world.servers.find(&role, None)?;
    serving.start(Task::Double, Duration::ZERO)
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?does not read responses$")]
fn does_not_read_responses(world: &mut World, role: String) -> StepOutcome {
    let letters = world.clients.find(&role, None)?.correspondence();
    expect_equal("number of responses read", 0, letters.received())?;
    match letters.outstanding() {
        0 => Err(Failure::new(
            "expected requests without responses, found none",
        )),
        _ => Ok(()),
    }
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?attempts to send response of '(\d+)' bytes$"
)]
fn attempts_to_send_response_of_bytes(world: &mut World, role: String, size: usize) -> StepOutcome {
    let serving = world.servers.find(&role, None)?;
    serving.expect_answer_waiting(size)
}

#[then(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should block on response write$")]
fn should_block_on_response_write(world: &mut World, role: String) -> StepOutcome {
    world.servers.find(&role, None)?.expect_blocked()
}

/// The phrase belongs to the handler that doubles.
#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?reads one response$")]
#[then(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?reads one response$")]
fn reads_one_response(world: &mut World, role: String) -> StepOutcome {
    let calling = world.clients.find(&role, None)?;
    calling.receive_made_of(|request| request.repeat(2))?;
    Ok(())
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should unblock and complete write$"
)]
fn should_unblock_and_complete_write(world: &mut World, role: String) -> StepOutcome {
    world.servers.find(&role, None)?.expect_unblocked()
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?acquires zero-copy request buffer of size '(\d+)'$"
)]
fn acquires_request_buffer(world: &mut World, role: String, size: usize) -> StepOutcome {
    world.clients.find(&role, None)?.draft(size)
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?fills buffer with test pattern$")]
fn fills_request_buffer(world: &mut World, role: String) -> StepOutcome {
    world.clients.find(&role, None)?.fill_draft()
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?commits request$")]
fn commits_request(world: &mut World, role: String) -> StepOutcome {
    world.clients.find(&role, None)?.commit_draft()
}

#[then(regex = r"^response should contain same test pattern$")]
fn response_should_contain_same_test_pattern(world: &mut World) -> StepOutcome {
    world.clients.find("", None)?.receive_matching()?;
    Ok(())
}

#[then(regex = r"^no memory allocations in send path$")]
fn no_memory_allocations_in_send_path(world: &mut World) -> StepOutcome {
    world.clients.find("", None)?.expect_no_allocations()
}

#[given(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?starts handler that implements XOR with key '0[xX]([0-9a-fA-F]{1,2})'$"
)]
fn starts_xor_handler(world: &mut World, role: String, key: String) -> StepOutcome {
    let task = Task::Xor(u8::from_str_radix(&key, 16)?);
    world
        .servers
        .find(&role, None)?
        .start(task, Duration::ZERO)?;
    world.context.insert(XOR_KEY.into(), key);
    Ok(())
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?sends '(\d+)' byte frame with test pattern$"
)]
fn sends_frame_with_test_pattern(world: &mut World, role: String, size: usize) -> StepOutcome {
    world.clients.find(&role, None)?.send_sequenced(size)
}

#[then(regex = r"^response should contain XOR transformed data$")]
fn response_should_contain_xor_data(world: &mut World) -> StepOutcome {
    let key = match world.context.get(XOR_KEY) {
        Some(key) => u8::from_str_radix(key, 16)?,
        None => USUAL_XOR_KEY,
    };
    let transformed = |request: &[u8]| request.iter().map(|byte| byte ^ key).collect();
    world.clients.find("", None)?.receive_made_of(transformed)?;
    Ok(())
}

#[then(regex = r"^the server handler receives immutable request frame$")]
fn handler_receives_immutable_request(world: &mut World) -> StepOutcome {
    world.servers.find("", None)?.expect_request_unchanged()
}

#[then(regex = r"^the server handler returns new response data$")]
fn handler_returns_new_response(world: &mut World) -> StepOutcome {
    world.servers.find("", None)?.expect_answer_new()
}
