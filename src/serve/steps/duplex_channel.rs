//! Requests and responses over a duplex channel.

use std::time::Duration;

use cucumber::{given, then, when};

use crate::BufferConfig;
use crate::duplex::ServerOptions;
use crate::serve::calling::CallingEnd;
use crate::serve::failure::{StepOutcome, expect_equal};
use crate::serve::pattern;
use crate::serve::serving::{ServingEnd, processing_mode};
use crate::serve::world::World;

#[given(
    regex = r"^the '([^']+)' process creates immutable duplex channel '([^']+)' with metadata size '(\d+)' and payload size '(\d+)'$"
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
    regex = r"^the '([^']+)' process creates immutable duplex channel '([^']+)' with default config$"
)]
fn creates_channel(world: &mut World, role: String, channel: String) -> StepOutcome {
    plan_server(world, &role, &channel, ServerOptions::default())
}

#[given(
    regex = r"^the '([^']+)' process creates immutable duplex channel '([^']+)' with processing mode '([^']+)'$"
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

#[given(regex = r"^the '([^']+)' process starts echo handler$")]
fn starts_echo_handler(world: &mut World, role: String) -> StepOutcome {
    world.servers.find(&role, None)?.start_echo(Duration::ZERO)
}

#[given(regex = r"^the '([^']+)' process starts handler with '(\d+)' ms processing time$")]
fn starts_slow_handler(world: &mut World, role: String, milliseconds: u64) -> StepOutcome {
    let processing = Duration::from_millis(milliseconds);
    world.servers.find(&role, None)?.start_echo(processing)
}

#[when(regex = r"^the '([^']+)' process creates duplex channel client '([^']+)'$")]
fn creates_client(world: &mut World, role: String, channel: String) -> StepOutcome {
    let name = world.channel_name(&channel)?;
    world.registry().note_reader(name.response());
    world.registry().note_writer(name.request());
    let calling = CallingEnd::connect(&name)?;
    world.clients.add(&role, &channel, calling);
    Ok(())
}

#[when(regex = r"^the '([^']+)' process sends request with size '(\d+)'$")]
fn sends_request(world: &mut World, role: String, size: usize) -> StepOutcome {
    world.clients.find(&role, None)?.send(pattern::plain(size))
}

#[then(regex = r"^response should match request with size '(\d+)'$")]
fn response_should_match_request(world: &mut World, size: usize) -> StepOutcome {
    let response = world.clients.find("", None)?.receive_matching()?;
    expect_equal("size of the response", size, response.len())
}

#[when(regex = r"^the '([^']+)' process sends '(\d+)' requests sequentially$")]
fn sends_requests_sequentially(world: &mut World, role: String, count: usize) -> StepOutcome {
    world.clients.find(&role, None)?.send_numbered(count)
}

#[when(regex = r"^the '([^']+)' process sends '(\d+)' requests from single thread$")]
fn sends_requests_from_single_thread(world: &mut World, role: String, count: usize) -> StepOutcome {
    world.clients.find(&role, None)?.send_numbered(count)
}

#[then(regex = r"^the '([^']+)' process receives '(\d+)' responses in order$")]
fn receives_responses_in_order(world: &mut World, role: String, count: usize) -> StepOutcome {
    let calling = world.clients.find(&role, None)?;
    calling.receive_many(count)?;
    calling.expect_order()
}

#[then(regex = r"^responses should match requests by content$")]
fn responses_should_match_requests(world: &mut World) -> StepOutcome {
    world.clients.find("", None)?.expect_matches()
}

#[then(regex = r"^no responses should be lost or duplicated$")]
fn no_responses_should_be_lost_or_duplicated(world: &mut World) -> StepOutcome {
    let calling = world.clients.find("", None)?;
    calling.expect_one_response_each()?;
    calling.expect_no_more_responses()
}

#[then(regex = r"^the '([^']+)' process receives exactly '(\d+)' responses$")]
fn receives_exactly(world: &mut World, role: String, count: usize) -> StepOutcome {
    let calling = world.clients.find(&role, None)?;
    calling.receive_many(count)?;
    calling.expect_matches()?;
    calling.expect_one_response_each()?;
    calling.expect_no_more_responses()
}

#[then(regex = r"^all '(\d+)' responses match their requests$")]
fn all_responses_match(world: &mut World, count: usize) -> StepOutcome {
    let calling = world.clients.find("", None)?;
    calling.expect_count(count)?;
    calling.expect_matches()
}

#[when(regex = r"^the '([^']+)' process measures total response time$")]
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
    world.clients.find("", None)?.expect_order()
}
