//! The runner as its users meet it: the binary, against small step servers that keep to the
//! contract or lie in one way each.

#![allow(clippy::unwrap_used)]

mod baseline;
mod clean;
mod command_line;
mod completions;
mod deaths;
mod doctor;
mod event_logs;
mod inspect;
mod interrupts;
mod limits;
#[path = "../serve_support/listener.rs"]
mod listener;
mod lying;
mod manners;
mod messages;
mod mutate;
mod outside;
mod page;
mod project;
mod regression;
mod reports;
mod rerun;
mod routing;
mod routing_table;
mod same_process;
mod sandbox;
mod schedule;
mod schema;
mod setup_command;
mod shards;
mod test_script;
mod time_limit;
mod unavailable;
