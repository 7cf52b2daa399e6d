//! The step definitions, one file a feature file.
//!
//! A definition says in its regular expression which phrase it carries out, and has an attribute
//! for every keyword with which the phrase is used. The phrases are an interface: step servers in
//! other languages know them to the letter. A step that promises a check fails when there is
//! nothing to check.

mod advanced_error_handling;
mod basic_communication;
mod corruption;
mod duplex_channel;
mod duplex_ends;
mod edge_cases;
mod error_handling;
mod failing_creation;
mod pacing;
mod performance_benchmarks;
mod performance_monitoring;
mod platform_specific;
mod process_lifecycle;
mod protocol_compliance;
mod resource_management;
mod rivals;
mod stress_testing;
mod synchronization;
mod user_permissions;
