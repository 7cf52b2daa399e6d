//! The interop runner: scenarios in feature files, played by step servers in many languages.
//!
//! A pipeline of plain data, each stage a function of the one before it:
//!
//! 1. [`config`] reads `harmony.toml`, [`feature`] the feature files;
//! 2. [`route`] decides for every step which process it goes to;
//! 3. [`plan`] makes [`plan::Execution`]s of what [`filter`] and [`combination`] ask for.

pub mod catalogue;
pub mod combination;
pub mod config;
pub mod feature;
pub mod filter;
pub mod leftover;
pub mod nearest;
pub mod plan;
pub mod process;
pub mod route;
pub mod spawn;
