//! The step server's contract, on the real binary.

#![allow(clippy::unwrap_used)]

mod cleanup;
mod command_line;
mod ending;
mod executing;
mod frames;
#[path = "../serve_support/listener.rs"]
mod listener;
mod messages;
mod raw_connection;
#[path = "../serve_support/mod.rs"]
mod serve_support;
mod websocket;

use serve_support::{StepServer, step_params};

const CREATE: &str =
    "the 'reader' process creates buffer 'rpc' with metadata size '64' and payload size '10240'";
const CONNECT: &str = "the 'writer' process connects to buffer 'rpc'";
const WRITE: &str = "the 'writer' process writes frame with size '1024' and sequence '1'";
const HANG: &str = "the 'reader' process reads frames with '3600000' ms delay between each read";

/// Makes a step server hang in a step, holding a reader and a writer; the step's id.
fn hang(server: &mut StepServer) -> u64 {
    server.pass("Given", CREATE);
    server.pass("When", CONNECT);
    server.pass("When", WRITE);
    server.request("executeStep", step_params("When", HANG))
}
