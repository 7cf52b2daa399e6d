//! Requests and answers of random sizes, between all implementations in both roles.

use crate::channel_stress::stress;
use crate::job::{Implementation, Role};

#[test]
fn rust_asks_rust() {
    stress(Role::Client, Implementation::Rust);
}

#[test]
fn rust_asks_cpp() {
    stress(Role::Client, Implementation::Cpp);
}

#[test]
fn rust_answers_cpp() {
    stress(Role::Serve, Implementation::Cpp);
}

#[test]
fn rust_asks_python() {
    stress(Role::Client, Implementation::Python);
}

#[test]
fn rust_answers_python() {
    stress(Role::Serve, Implementation::Python);
}
