//! The interop runner: scenarios in feature files, played by step servers in many languages.
//!
//! A pipeline of plain data, each stage a function of the one before it:
//!
//! 1. [`config`] reads `harmony.toml`, [`feature`] the feature files, which yield
//!    [`scenario`]s, [`known`] the list of known failures;
//! 2. [`route`] decides for every step which process it goes to, [`same_process`] lets it be one
//!    for all;
//! 3. [`plan`] makes [`plan::Execution`]s of what [`filter`] and [`combination`] ask for;
//! 4. [`preflight`] makes platforms ready ([`setup`]), asks each for its steps ([`catalogue`]) and
//!    judges which executions can run;
//! 5. [`execute`] runs one: its [`cast`] are step servers ([`process`], [`spawn`], [`stderr`]) in a
//!    [`sandbox`] that a [`holder`] keeps, or such as somebody else has started ([`outside`]); it sends
//!    them the steps, and what they leave is removed ([`leftover`]);
//! 6. [`outcome`] decides what became of it;
//! 7. every stage sends [`event`]s; those of processes come from a [`transcript`]. The
//!    [`event_log`] keeps them, after a [`header`] that also says on which [`machine`] it was;
//! 8. [`report`]s are made of events: that on the terminal as they come, all others of the
//!    [`record`] of a run, which is read from its log.
//!
//! [`runs`] says where the log of a run is, and for how long.
//!
//! [`schedule`] says which executions run side by side, in what order and how often, [`limits`] how
//! long they may take, and [`scale`] what is made shorter. [`halt`] ends a run before its end.
//! A plan may be one [`shard`] of a larger one, or what was not green before ([`rerun`]); [`merge`]
//! makes one run of several, and [`baseline`] says what is different from a run before.
//! [`workload`] puts the first stages together and [`run`] the others, for the commands of
//! [`session`], [`past`] what there is to do with runs that were; [`invocation`] is what all of them
//! read from the command line. [`mutate`] runs scenarios in which something is wrong ([`mutant`], [`trial`]) and
//! takes together who noticed ([`tally`], [`survivor`]).
//!
//! Beside the pipeline, [`doctor`] tries every promise of the contract on a platform, and [`inspect`],
//! [`watch`] and [`clean`] look at the buffers of the machine, as [`crate::channel`] shows them.

pub mod baseline;
pub mod cast;
pub mod catalogue;
pub mod clean;
pub mod cli;
pub mod combination;
pub mod config;
pub mod context;
pub mod deaths;
pub mod doctor;
pub mod event;
pub mod event_log;
pub mod execute;
pub mod exit;
pub mod fault;
pub mod feature;
pub mod filter;
pub mod halt;
pub mod header;
pub mod holder;
pub mod inspect;
pub mod invocation;
pub mod known;
pub mod leftover;
pub mod limits;
pub mod machine;
pub mod merge;
pub mod mutant;
pub mod mutate;
pub mod nearest;
pub mod outcome;
pub mod outside;
pub mod past;
pub mod plan;
pub mod platform;
pub mod preflight;
pub mod process;
pub mod record;
pub mod report;
pub mod rerun;
pub mod route;
pub mod run;
pub mod runs;
pub mod same_process;
pub mod sandbox;
pub mod scale;
pub mod scenario;
pub mod schedule;
pub mod session;
pub mod setup;
pub mod shard;
pub mod snippet;
pub mod spawn;
pub mod stderr;
pub mod survivor;
pub mod tally;
pub mod terminal;
pub mod transcript;
pub mod trial;
pub mod watch;
pub mod workload;
